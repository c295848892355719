/** What every contender is given, and what a contender is. */

export type Event = { readonly id: string; readonly key: string; readonly text: string; readonly n: number }

const text = 'x'.repeat(180)
let count = 0

/** 250 bytes of JSON. Ids as providers make them: random, so that a dedupe index gets no help from order. */
export function event(): Event {
  const n = count++
  return { id: `evt_${Math.imul(n, 2654435761).toString(36)}${n}`, key: `k${n % 1000}`, text, n }
}

export function events(n: number): Event[] {
  return Array.from({ length: n }, event)
}

export interface Queue extends AsyncDisposable {
  /** Resolves when it is acknowledged as durable. */
  send(e: Event): Promise<unknown>
  sendMany(events: readonly Event[]): Promise<unknown>
}

/** Called with each message that is handled: the handler's first line. */
export type Handle = (e: Event) => void

/** Somewhere empty for one part of the bench: a folder, a database, a queue's name. */
export interface Place extends AsyncDisposable {
  /** With `handle` it consumes too. What was sent before is still there. */
  open(handle?: Handle): Promise<Queue>
  /** What its manual says to do between filling it and measuring. */
  settle?(): Promise<void>
  /**
   * Writes to disk what earlier parts left in memory. Without it a sync of a few kilobytes waits for hundreds of megabytes of
   * theirs: 450 commits/s after a bulk insert, 13,000/s before.
   */
  rest?(): Promise<void>
}

export type Contender = {
  /** Prefix of its figures. */
  readonly name: string
  /** Messages that wait when `process` begins: about a second's work. */
  readonly preload: number
  /** Process id of its server, whose tree's CPU is counted with ours. */
  readonly server?: () => number
  place(): Promise<Place>
}
