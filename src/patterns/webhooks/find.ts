import type { Find } from './define.ts'
import type { Received } from './signatures/scheme.ts'

/** The text at the place that a `Find` names; a number in the body counts as its digits. Never walks a prototype. */
export function find(place: Find, event: Received): string | undefined {
  if (typeof place === 'function') return place(event)
  if ('header' in place) return event.headers[place.header]
  let value: unknown = event.body
  for (const part of place.field.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string, unknown>)[part]
  }
  return typeof value === 'string' ? value : Number.isSafeInteger(value) ? String(value) : undefined
}
