import assert from 'node:assert/strict'
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/fault.ts'
import type { Appended, Entry, Guard, Parked, Stored, Store, Write, WriteResult } from '../port.ts'

/** A clock that the suite can move; `virtualClock` of the testing room is one. */
export type SuiteClock = Clock & { advance(ms: number): Promise<void> }

/** A store on data of its own, and what else can be done with that data. */
export type Subject = {
  readonly store: Store
  /** Closes the store and opens another one on the same data. Absent: nothing survives closing. */
  readonly reopen?: () => Promise<Store>
  /** Another store on the same data, as another process would have it. Absent: there can be no other. */
  readonly second?: () => Promise<Store>
  /** Closes whatever is open and removes the data. */
  close(): Promise<void>
}

export type Trial = {
  readonly clock: SuiteClock
  readonly store: Store
  readonly reopen: () => Promise<Store>
  readonly second: () => Promise<Store>
  /** Moves the clock on until it holds, five seconds of it at most; between two looks a store that talks to a server gets its answers. */
  until(holds: () => boolean): Promise<void>
}

/** What a case needs of a store: that it can be opened again, by a second process, that it has one writer for all. */
export type Need = 'reopen' | 'second' | 'one writer'

export type Case = {
  /** Case id and sentence. Ids are never given again. */
  readonly name: string
  readonly needs?: Need
  run(t: Trial): Promise<void>
}

/** Time of the entries that do not care: the start of the virtual clock. */
export const start = Date.UTC(2026, 0, 1)
export const day = 86_400_000

export function entry(slot: number, id: string, over: Partial<Entry> = {}): Entry {
  return { slot, id, key: null, time: start, meta: null, body: `"${id}"`, dedupe: 0, ...over }
}

export function parkedMessage(offset: number, over: Partial<Parked> = {}): Parked {
  return {
    subscription: 1,
    partition: 0,
    offset,
    key: 'k',
    id: `m${offset}`,
    time: start,
    meta: null,
    body: `"m${offset}"`,
    state: 'retry',
    attempts: 1,
    due: start,
    since: start,
    faults: null,
    heldBy: null,
    ...over,
  }
}

/** Commits one unit that must hold; the results of its writes. */
export async function commit(store: Store, ...writes: readonly Write[]): Promise<readonly WriteResult[]> {
  const [outcome] = await store.commit([{ writes }], 'durable')
  assert.ok(outcome?.ok, 'a unit without guards was refused')
  return outcome.results
}

/** Commits one guarded unit; whether its guards held. */
export async function holds(store: Store, guard: Guard, ...writes: readonly Write[]): Promise<boolean> {
  const [outcome] = await store.commit([{ guards: [guard], writes }], 'durable')
  return outcome!.ok
}

export async function append(store: Store, ...entries: readonly Entry[]): Promise<readonly Appended[]> {
  const [appended] = await commit(store, { write: 'append', entries })
  assert.ok(typeof appended === 'object')
  return appended
}

/** Makes a topic known; its first slot. */
export async function topic(store: Store, name = 't', partitions = 4): Promise<number> {
  return Number((await commit(store, { write: 'topic', name, partitions }))[0])
}

export async function log(store: Store, slot: number): Promise<readonly Stored[]> {
  const below = Number.MAX_SAFE_INTEGER
  return await store.read({ read: 'log', slot, from: 0, below, limit: 1_000_000, bytes: 1e9 })
}

export async function offsets(store: Store, slot: number): Promise<readonly number[]> {
  return (await log(store, slot)).map((m) => m.offset)
}

export async function bounds(store: Store, slot: number): Promise<{ first: number; next: number }> {
  const [b] = await store.read({ read: 'bounds', slots: [slot] })
  assert.equal(b!.slot, slot)
  return { first: b!.first, next: b!.next }
}

/** Copies rows into plain objects and plain byte arrays: what a row is made of is the adapter's business. */
export function plain<T>(value: T): T {
  if (value instanceof Uint8Array) return Uint8Array.from(value) as T
  if (Array.isArray(value)) return value.map(plain) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)])) as T
}

/** The row without one of its columns: those that a store may number as it likes. */
export function without<T extends object, K extends keyof T>(row: T, column: K): Omit<T, K> {
  return Object.fromEntries(Object.entries(row).filter(([name]) => name !== column)) as Omit<T, K>
}

/** Deep equality of plain copies. `about` names the round of a loop. */
export function same(actual: unknown, expected: unknown, about = ''): void {
  try {
    assert.deepEqual(plain(actual), expected)
  } catch (e) {
    if (about !== '')
      throw new assert.AssertionError({ message: `${about}: ${(e as Error).message}`, actual, expected })
    throw e
  }
}

export async function refused(work: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(work, (e) => {
    assert.ok(isFault(e, code), `${code} expected, not ${String(e)}`)
    return true
  })
}
