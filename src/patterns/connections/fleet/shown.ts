import { breakerPrefix, noticeOf } from './breaker.ts'
import type { Row } from './peers.ts'
import { noticeOf as waitOf, waitPrefix } from './waiting.ts'

/** What the store says of a connection: what holds in all processes. */
export type SharedState = {
  readonly breaker: 'closed' | 'open' | 'half-open' | 'isolated'
  /** RFC 3339; by the clock of the process that wrote it. Absent when closed or isolated. */
  readonly openUntil?: string
  /** Who isolated it, and why. */
  readonly by?: string
  readonly reason?: string
  /** Processes that have it open for themselves, because another one was answered meanwhile. */
  readonly alone?: number
  /** RFC 3339: until then nothing is sent because they asked for it. */
  readonly coolUntil?: string
}

/** Out of the keys `fleet/`; what was never shared is closed. `wall` is now. */
export function sharedState(name: string, rows: readonly Pick<Row, 'name' | 'value'>[], wall: number): SharedState {
  const valueOf = (key: string): string => rows.find((r) => r.name === key)?.value ?? ''
  const notice = noticeOf(valueOf(breakerPrefix + name))
  const wait = waitOf(valueOf(waitPrefix + name))
  const coolUntil = wait === undefined ? 0 : wait.at + wait.cool
  return {
    ...(notice === undefined ? { breaker: 'closed' as const } : breakerOf(notice)),
    ...(coolUntil > wall ? { coolUntil: new Date(coolUntil).toISOString() } : {}),
  }
}

function breakerOf(notice: NonNullable<ReturnType<typeof noticeOf>>): SharedState {
  const { state, by, reason, sick, at, wait } = notice
  switch (state) {
    case 'open':
      return { breaker: 'open', openUntil: new Date(at + wait).toISOString() }
    case 'probing':
      return { breaker: 'half-open', openUntil: new Date(at + wait).toISOString() }
    case 'isolated':
      return { breaker: 'isolated', by, reason: reason ?? '' }
    case 'alone':
      return { breaker: 'closed', alone: sick.length }
    case 'closed':
      return { breaker: 'closed' }
  }
}

/** What is written when a person decides: it holds in all processes, whatever they see, across restarts. */
export function byHand(to: 'isolated' | 'closed', by: string, at: number, reason: string): string {
  return JSON.stringify({ state: to, by, at, wait: 0, openings: 0, sick: [], ...(to === 'isolated' ? { reason } : {}) })
}
