import { Buffer } from 'node:buffer'
import { hash53 } from '#kernel/hash.ts'
import {
  offsetCount,
  type Appended,
  type Entry,
  type Guard,
  type Outcome,
  type Unit,
  type Write,
  type WriteResult,
} from '../port.ts'
import { mergeCursors } from '../cursor.ts'
import { bitsOf } from './encode.ts'

/** An entry on its way, and where its answer goes. */
export type Sent = {
  readonly entry: Entry
  readonly rank: number
  readonly unit: number
  readonly write: number
  readonly at: number
}

/** Entries of one topic that one call appends. Ids that come again within it are answered like the first of them. */
export type Batch = {
  readonly topic: number
  readonly sent: Sent[]
  readonly counts: number[]
  /** Offsets that the log had at least reached before. */
  readonly from: readonly number[]
  /** Offsets after it, when it is answered. */
  next: readonly number[]
  window: number
  /** By hash: those whose id was chosen by somebody else. */
  readonly checked: Map<number, Sent>
  readonly again: { readonly first: Sent; readonly unit: number; readonly write: number; readonly at: number }[]
}
export type Advance = {
  readonly unit: number
  readonly lease: Extract<Guard, { guard: 'lease' }>
  readonly write: Extract<Write, { write: 'advance' }>
}
export type General = { readonly index: number; readonly unit: Unit }
/** Appends first, then cursors, then everything else: what is in one phase may change places. */
export type Phase = { readonly batches: Batch[]; readonly advances: Advance[]; readonly general: General[] }

export type TopicAt = { readonly slot: number; readonly partitions: number; readonly next: readonly number[] }

/** Writes that must not change places with appends, or with cursors that stand under a lease. */
const placed: ReadonlySet<Write['write']> = new Set([
  'append',
  'advance',
  'delay',
  'fire',
  'topic',
  'subscription',
  'trim',
  'compact',
  'shed',
  'lease',
  'release',
  'gone',
])

/**
 * Sorts the units of a commit into phases: plain appends and leased cursors, which are nearly all there is, go in bulk; the
 * others in order, as they are. Nearly every commit is one phase.
 */
export function phases(units: readonly Unit[], topicOf: (slot: number) => TopicAt): readonly Phase[] {
  const out: Phase[] = []
  let open: Phase | undefined
  let cursors = new Set<string>()
  const phase = (): Phase => {
    if (!open) {
      out.push((open = { batches: [], advances: [], general: [] }))
      cursors = new Set()
    }
    return open
  }
  units.forEach((unit, index) => {
    const { guards = [], writes } = unit
    const advance = leased(unit)
    if (guards.length === 0 && writes.length > 0 && writes.every((w) => w.write === 'append')) {
      writes.forEach((w, n) => append(phase(), w.entries, index, n, topicOf))
    } else if (advance && !(open && cursors.has(cursorOf(advance.write)))) {
      phase().advances.push({ unit: index, ...advance })
      cursors.add(cursorOf(advance.write))
    } else {
      phase().general.push({ index, unit })
      if (writes.some((w) => placed.has(w.write))) open = undefined
    }
  })
  return out
}

/** A cursor under a lease, and nothing else. */
function leased({ guards = [], writes }: Unit): Omit<Advance, 'unit'> | undefined {
  const [lease] = guards
  const [write] = writes
  if (guards.length !== 1 || writes.length !== 1 || lease?.guard !== 'lease' || write?.write !== 'advance')
    return undefined
  return { lease, write }
}

function cursorOf(w: Extract<Write, { write: 'advance' }>): string {
  return `${w.subscription}/${w.partition}`
}

function append(
  phase: Phase,
  entries: readonly Entry[],
  unit: number,
  write: number,
  topicOf: (slot: number) => TopicAt,
): void {
  entries.forEach((entry, at) => {
    const topic = topicOf(entry.slot)
    const hash = hashOf(entry)
    let batch = phase.batches.findLast((b) => b.topic === topic.slot)
    const first = hash === null ? undefined : batch?.checked.get(hash)
    if (first?.entry.id === entry.id && first.entry.time >= entry.time - entry.dedupe) {
      batch!.again.push({ first, unit, write, at })
      return
    }
    // One statement can touch an id once, and knows one window.
    if (!batch || first || (hash !== null && batch.window > 0 && batch.window !== entry.dedupe)) {
      batch = begin(topic)
      phase.batches.push(batch)
    }
    const sent = { entry, rank: batch.counts[entry.slot - topic.slot]!++, unit, write, at }
    if (hash !== null) {
      batch.window = entry.dedupe
      batch.checked.set(hash, sent)
    }
    batch.sent.push(sent)
  })
}

function begin({ slot, partitions, next }: TopicAt): Batch {
  const counts = Array.from({ length: partitions }, () => 0)
  return { topic: slot, sent: [], counts, from: next, next, window: 0, checked: new Map(), again: [] }
}

/** 53 bits: the server adds the topic. Null: the id is fresh, nobody will look for it. */
export function hashOf(entry: Entry): number | null {
  return entry.dedupe > 0 ? hash53(entry.id) : null
}

/** What was answered, unit by unit, while it comes in. */
export class Answers {
  readonly #units: readonly Unit[]
  readonly #results: WriteResult[][]
  readonly #failed = new Map<number, Guard>()

  constructor(units: readonly Unit[]) {
    this.#units = units
    this.#results = units.map((u) =>
      u.writes.map((w) => (w.write === 'append' ? Array.from<Appended>({ length: w.entries.length }) : 0)),
    )
  }

  /** Where the entries of a batch are: `base`, the offsets before it; `known`, the positions of those that were there. */
  appended(batch: Batch, base: readonly number[], known: readonly (number | null)[] | null): void {
    const next = [...base]
    const places = new Map<Sent, Appended>()
    batch.sent.forEach((s, i) => {
      const seen = known?.[i] ?? null
      const place =
        seen === null
          ? { slot: s.entry.slot, offset: next[s.entry.slot - batch.topic]!++, duplicate: false }
          : { ...placeOf(seen), duplicate: true }
      places.set(s, place)
      this.#place(s, place)
    })
    batch.next = next
    for (const a of batch.again) this.#place(a, { ...places.get(a.first)!, duplicate: true })
  }

  #place(of: { readonly unit: number; readonly write: number; readonly at: number }, place: Appended): void {
    ;(this.#results[of.unit]![of.write] as Appended[])[of.at] = place
  }

  advanced(advance: Advance, held: boolean): void {
    if (held) this.#results[advance.unit] = [1]
    else this.#failed.set(advance.unit, advance.lease)
  }

  general(general: readonly General[], outcomes: readonly JsonOutcome[]): void {
    outcomes.forEach((o, i) => {
      const { index, unit } = general[i]!
      if (o.failed === undefined) this.#results[index] = unit.writes.map((w, n) => resultOf(w, o.results?.[n]))
      else this.#failed.set(index, unit.guards![o.failed]!)
    })
  }

  get outcomes(): readonly Outcome[] {
    return this.#units.map((_, i) => {
      const failed = this.#failed.get(i)
      return failed ? { ok: false, failed } : { ok: true, results: this.#results[i]! }
    })
  }
}

/** What fl_apply answers for a unit: the results of its writes, or which guard failed. */
export type JsonOutcome = { readonly failed?: number; readonly results?: readonly (number | readonly number[])[] }

function resultOf(w: Write, result: number | readonly number[] | undefined): WriteResult {
  if (w.write !== 'append') return result as number
  return ((result ?? []) as readonly number[]).map((p) =>
    p < 0 ? { ...placeOf(-1 - p), duplicate: true } : { ...placeOf(p), duplicate: false },
  )
}

function placeOf(position: number): { readonly slot: number; readonly offset: number } {
  return { slot: Math.floor(position / offsetCount), offset: position % offsetCount }
}

/** Units as fl_apply reads them: the port's own words, bodies apart as text or hexadecimal bytes. */
export function unitJson(unit: Unit, now: number): unknown {
  return { guards: unit.guards?.map(guardJson) ?? [], writes: unit.writes.map((w) => writeJson(w, now)) }
}

function guardJson(g: Guard): unknown {
  if (g.guard !== 'parked') return g
  const { body, ...rest } = g
  return body === undefined ? rest : { ...rest, ...bodyJson(body) }
}

function writeJson(w: Write, now: number): unknown {
  switch (w.write) {
    case 'append':
      return { ...w, entries: w.entries.map(entryJson) }
    case 'delay':
      return { ...w, entry: entryJson(w.entry) }
    case 'advance':
      return { ...w, ...settledCursor(w) }
    case 'park': {
      const { body, ...parked } = w.parked
      return { ...w, parked: { ...parked, ...bodyJson(body) } }
    }
    case 'repark': {
      const { body, ...rest } = w
      return body === undefined ? rest : { ...rest, ...bodyJson(body) }
    }
    // The server checks its pages: no row of ours is ever damaged and there, so there is nothing to replace.
    case 'quarantine':
      return { write: 'release', name: '', worker: '' }
    case 'topic':
    case 'trim':
      return { ...w, now }
    default:
      return w
  }
}

function entryJson({ body, ...entry }: Entry): unknown {
  return { ...entry, hash: hashOf({ ...entry, body }), ...bodyJson(body) }
}

/** The mark as far as it goes, the bitmap without what lies below it. */
export function settledCursor(w: Extract<Write, { write: 'advance' }>): {
  readonly low: number
  readonly done: string | null
} {
  const { low, done } = w.done !== null && (w.done[0]! & 1) === 1 ? mergeCursors(w, w) : w
  return { low, done: bitsOf(done) }
}

function bodyJson(body: string | Uint8Array): { readonly body: string } | { readonly bytes: string } {
  return typeof body === 'string'
    ? { body }
    : { bytes: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('hex') }
}
