import type { Parked, ParkedAt, ParkedState, Write } from '../port.ts'
import type { Row, Statements } from './statements.ts'
import { bodyOf, fits, rowSum, textOf, type Column } from './sum.ts'

/**
 * Parked messages and their checksums. State and due time are not part of them, but for the dead, of whom a person decides: they change
 * for many rows at once, and an index holds a second copy of each, which is compared when the store is opened (`whole.ts`). When one that
 * waits behind another would be due, nobody asks.
 */
export function parkedSum(p: Parked): number {
  const { subscription, partition, offset, key, id, time, meta, body, attempts, since, faults, heldBy } = p
  const dead = p.state === 'dead' ? p.due : null
  return sumOf([subscription, partition, offset, key, id, time, meta, body, attempts, since, faults, heldBy, dead])
}

const columns = 'subscription, partition, offset, key, id, time, meta, body, attempts, since, faults, held_by'.split(
  ', ',
)

function sumOf(values: readonly Column[]): number {
  return rowSum('fl_parked', values)
}

const states: ReadonlySet<unknown> = new Set(['retry', 'held', 'behind', 'dead'] satisfies ParkedState[])

/** The checksum that the row should have. */
export function parkedRowSum(r: Row): number {
  const dead = r['state'] === 'dead' ? (r['due'] as Column) : null
  return sumOf([...columns.map((c) => r[c] as Column), dead])
}

function isSound(r: Row): boolean {
  return states.has(r['state']) && fits(r['sum'] as Column, parkedRowSum(r))
}

/** The row as the port has it. What is damaged has the right types and nothing else: it is marked. */
export function parkedOf(r: Row): Parked {
  const parked = {
    subscription: Number(r['subscription']),
    partition: Number(r['partition']),
    offset: Number(r['offset']),
    key: textOf(r['key'] as Column),
    id: String(r['id']),
    time: Number(r['time']),
    meta: textOf(r['meta'] as Column),
    body: bodyOf(r['body'] as Column),
    state: states.has(r['state']) ? (r['state'] as ParkedState) : 'dead',
    attempts: Number(r['attempts']),
    due: Number(r['due']),
    since: Number(r['since']),
    faults: textOf(r['faults'] as Column),
    heldBy: textOf(r['held_by'] as Column),
  }
  return isSound(r) ? parked : { ...parked, damage: { missing: 0 } }
}

/** Changes the row, and its checksum with it; a damaged one is left as it is, for whoever reads it next to see. */
export function repark(
  db: Statements,
  { at, body, ...how }: Omit<Extract<Write, { write: 'repark' }>, 'write'>,
): number {
  const row = find(db, at)
  if (row === undefined || !isSound(row)) return 0
  const p = { ...parkedOf(row), ...how, ...(body === undefined ? {} : { body }) }
  return db.run(
    'update fl_parked set state = ?, attempts = ?, due = ?, faults = ?, held_by = ?, body = ?, sum = ? where row = ?',
    p.state,
    p.attempts,
    p.due,
    p.faults,
    p.heldBy,
    p.body,
    parkedSum(p),
    Number(row['row']),
  )
}

/** Puts `parked` in the place of a damaged row. Where an index has another place or key for it, SQLite refuses (`store.corrupt`). */
export function quarantine(db: Statements, p: Parked): number {
  const row = find(db, p)
  if (row === undefined || isSound(row)) return 0
  const { subscription, partition, offset, key, id, time, meta, body, attempts, since, faults, heldBy } = p
  return db.run(
    `update fl_parked set ${columns.map((c) => `${c} = ?`).join(', ')}, state = ?, due = ?, sum = ? where row = ?`,
    subscription,
    partition,
    offset,
    key,
    id,
    time,
    meta,
    body,
    attempts,
    since,
    faults,
    heldBy,
    p.state,
    p.due,
    parkedSum(p),
    Number(row['row']),
  )
}

function find(db: Statements, at: ParkedAt): Row | undefined {
  return db.get(
    'select * from fl_parked where subscription = ? and partition = ? and offset = ?',
    at.subscription,
    at.partition,
    at.offset,
  )
}
