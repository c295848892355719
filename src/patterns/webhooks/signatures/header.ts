import { fault } from '#kernel/fault.ts'
import type { Headers } from './scheme.ts'

/** The value of a header that the scheme requires; `webhook.header` when it is missing or empty. */
export function required(headers: Headers, name: string): string {
  const value = headers[name]
  if (value === undefined || value.trim() === '') throw malformed(name, 'is missing')
  return value
}

export function malformed(name: string, why: string): Error {
  return fault('webhook.header', { message: `the header ${name} ${why}`, detail: { header: name } })
}

/**
 * Unix seconds written as a plain integer. A sign, a fraction, NaN and milliseconds (13 digits, a date 30,000 years
 * from now) are malformed, not stale: they are a sender's bug, and say so.
 */
export function seconds(text: string, header: string): number {
  if (!/^\d{1,11}$/.test(text)) throw malformed(header, 'is not a time in whole seconds')
  return Number(text)
}

/** Throws `webhook.stale` when the signed time is further than the tolerance from ours, before or after. */
export function assertFresh(at: number, now: number, tolerance: number): void {
  const apart = Math.floor(now / 1000) - at
  if (Math.abs(apart) * 1000 <= tolerance) return
  throw fault('webhook.stale', {
    message: `the signed timestamp is ${Math.abs(apart)} s ${apart > 0 ? 'behind' : 'ahead of'} our clock`,
    detail: { seconds: apart, tolerance },
  })
}

/** A string property of a JSON object, if it has one of its own. */
export function text(body: unknown, name: string): string | undefined {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return undefined
  const value = (body as Record<string, unknown>)[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** An `Identity` or `Verified` part without undefined members. */
export function identity(id: string | undefined, type: string | undefined): { id?: string; type?: string } {
  return { ...(id === undefined ? {} : { id }), ...(type === undefined ? {} : { type }) }
}
