import { isDeepStrictEqual } from 'node:util'
import { plain, without } from '../conformance/trial.ts'
import type { Parked, Store, Stored } from '../port.ts'

/** Everything that a store answers about itself. */
export type Answers = {
  readonly log: ReadonlyMap<number, readonly Stored[]>
  readonly newest: ReadonlyMap<number, readonly Stored[]>
  readonly heads: ReadonlyMap<number, { readonly first: number; readonly next: number }>
  readonly parked: readonly (Parked & { readonly row: number })[]
  /** What is found of parked and delayed messages by their indexes. */
  readonly found: unknown
  /** Topics, subscriptions, cursors, keys. */
  readonly rows: unknown
  /** Call records and audit. */
  readonly records: readonly { readonly damage?: unknown }[]
  /** Leases and workers, which are written anew all the time; and in which order records were written. No checksum covers them. */
  readonly uncovered: unknown
}

const all = Number.MAX_SAFE_INTEGER
const latest = 8.64e15

/** Reads all of it; at last lets what is delayed appear, and reads the log again. */
export async function answers(store: Store): Promise<Answers> {
  const topics = await store.read({ read: 'topics' })
  const subscriptions = await store.read({ read: 'subscriptions' })
  // When one that waits behind another would be due, nobody asks, and nothing covers it.
  const parked = (await store.read({ read: 'parked', limit: 100_000 })).map((p) =>
    p.state === 'behind' ? { ...p, due: 0 } : p,
  )
  const of = async (id: number) => ({
    cursors: await store.read({ read: 'cursors', subscription: id }),
    due: (
      await store.read({ read: 'due', subscription: id, partitions: [0, 1, 2, 3], now: latest, limit: 100_000 })
    ).map((p) => [p.partition, p.offset]),
    nextDue: await store.read({ read: 'nextDue', subscription: id }),
    keys: await Promise.all(
      [0, 1, 2, 3].map((partition) => store.read({ read: 'parkedKeys', subscription: id, partition })),
    ),
  })
  const each = await Promise.all(subscriptions.map((s) => of(s.id)))
  const rows = { topics, subscriptions, cursors: each.map((e) => e.cursors), keys: await keys(store) }
  const found = {
    each: each.map(({ due, nextDue, keys }) => ({ due, nextDue, keys })),
    counts: await store.read({ read: 'parkedCounts' }),
    at: await Promise.all(parked.map((at) => store.read({ read: 'parkedAt', at })).map(async (p) => (await p)?.id)),
    delayed: await store.read({ read: 'nextDelayed' }),
  }
  const calls = await store.read({ read: 'calls', limit: 100_000 })
  const trail = await store.read({ read: 'audit', limit: 100_000 })
  const records = [...calls.map((r) => without(r, 'id')), ...trail.map((r) => without(r, 'id'))]
  const uncovered = {
    order: [...calls, ...trail].map(({ id }) => id),
    leases: await store.read({ read: 'leases' }),
    workers: await store.read({ read: 'workers' }),
  }
  await store.commit([{ writes: [{ write: 'fire', now: latest, limit: 100_000 }] }], 'durable')
  const slots = topics.flatMap((t) => Array.from({ length: t.partitions }, (_, p) => t.slot + p))
  const bounds = await store.read({ read: 'bounds', slots })
  const log = new Map<number, readonly Stored[]>()
  const newest = new Map<number, readonly Stored[]>()
  for (const { slot, next } of bounds) {
    log.set(slot, await whole(store, slot, next))
    newest.set(slot, await store.read({ read: 'newest', slot, below: all, limit: 100_000 }))
  }
  const heads = new Map(bounds.map(({ slot, first, next }) => [slot, { first, next }]))
  return plainly({ log, newest, heads, parked, found, rows, records, uncovered })
}

/** As a subscription reads it: page after page, and what is missing passed. */
async function whole(store: Store, slot: number, below: number): Promise<readonly Stored[]> {
  const out: Stored[] = []
  for (let from = 0; from < below;) {
    const page = await store.read({ read: 'log', slot, from, below, limit: 7, bytes: 1e9 })
    if (page.length === 0) return out
    out.push(...page)
    const last = page.at(-1)!
    from = last.offset + Math.max(1, last.damage?.missing ?? 1)
  }
  return out
}

/** What a process notes about itself is left out. */
async function keys(store: Store): Promise<unknown> {
  const found = await store.read({ read: 'keys', prefix: '', now: 0 })
  return found.filter((k) => !k.name.startsWith('worker/'))
}

function plainly(a: Answers): Answers {
  const map = <V>(m: ReadonlyMap<number, V>): ReadonlyMap<number, V> => new Map([...m].map(([k, v]) => [k, plain(v)]))
  return {
    log: map(a.log),
    newest: map(a.newest),
    heads: map(a.heads),
    parked: plain(a.parked),
    found: plain(a.found),
    rows: plain(a.rows),
    records: plain(a.records),
    uncovered: plain(a.uncovered),
  }
}

/** `wrong`: something is told as if it were right, or is not told at all. `uncovered`: the same, of what no checksum covers. */
export type Comparison =
  | { readonly told: 'same' | 'damaged' | 'uncovered' }
  | { readonly told: 'wrong'; readonly what: string }

/** Compares what a damaged store answers with what the sound one did (pure). */
export function compare(good: Answers, now: Answers): Comparison {
  let damaged = false
  for (const [slot, before] of good.log) {
    const after = now.log.get(slot) ?? []
    const marked = after.filter((m) => m.damage !== undefined)
    if (marked.length > 0) damaged = true
    else if (!isDeepStrictEqual(good.heads.get(slot), now.heads.get(slot)))
      return wrong(`bounds of ${slot}: ${JSON.stringify([good.heads.get(slot), now.heads.get(slot)])}`)
    for (const list of [after, now.newest.get(slot) ?? []])
      for (const m of list)
        if (m.damage === undefined && !before.some((b) => isDeepStrictEqual(b, m)))
          return wrong(`slot ${slot} serves ${JSON.stringify(m)}`)
    for (const b of before) {
      const there = after.some((m) => isDeepStrictEqual(m, b))
      const told = marked.some((m) => b.offset >= m.offset && b.offset < m.offset + Math.max(1, m.damage!.missing))
      if (!there && !told) return wrong(`slot ${slot} does not tell of offset ${b.offset}`)
    }
  }
  if (good.log.size !== now.log.size) return wrong('slots')
  if (now.parked.length !== good.parked.length) return wrong('parked messages')
  for (const [i, p] of now.parked.entries()) {
    if (p.damage !== undefined) damaged = true
    else if (!isDeepStrictEqual(p, good.parked[i])) return wrong(`parked ${JSON.stringify(p)}`)
  }
  if (!damaged && !isDeepStrictEqual(good.found, now.found)) return wrong('what the indexes find')
  if (!isDeepStrictEqual(good.rows, now.rows)) return wrong('topics, subscriptions, cursors or keys')
  if (now.records.length !== good.records.length) return wrong('number of records')
  for (const r of now.records) {
    if (r.damage !== undefined) damaged = true
    else if (!good.records.some((g) => isDeepStrictEqual(g, r))) return wrong(`record ${JSON.stringify(r)}`)
  }
  if (damaged) return { told: 'damaged' }
  return { told: isDeepStrictEqual(good.uncovered, now.uncovered) ? 'same' : 'uncovered' }
}

function wrong(what: string): Comparison {
  return { told: 'wrong', what }
}
