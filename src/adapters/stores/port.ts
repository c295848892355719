import type { Runtime } from '#kernel/runtime.ts'
import type { Sql, SqlRow } from '#kernel/sql.ts'

/**
 * The store: what the journal is kept in. The port speaks in the journal's own verbs, not in SQL, so that each database
 * can do each verb its best way (a prepared loop here, `unnest` arrays there) and one suite can say what a verb means.
 *
 * Five members. `commit` is the only way in: a list of units, each all or nothing, each with guards that must hold.
 */
export interface Store {
  readonly can: StoreCan
  /**
   * Applies the units in order, in one transaction. A unit whose guard fails changes nothing and is reported; the others
   * go on. Resolves when everything is on disk (fsync), or, `relaxed`, as soon as it is visible to readers: a relaxed
   * commit survives the death of the process, not of the machine.
   *
   * Rejects as a whole with `store.full`, `store.readonly`, `store.busy` (nothing was applied) or `store.broken` (fsync
   * failed: nothing may be acknowledged any more until the store is opened again).
   */
  commit(units: readonly Unit[], sync: Sync): Promise<readonly Outcome[]>
  read<R extends Read>(query: R): Promise<ReadResult<R>>
  /**
   * An interactive transaction for statements of the user. On a store with one writer, everybody else's commits wait
   * until it ends; it is rolled back after `limit` milliseconds.
   */
  begin(limit: number): Promise<StoreTransaction>
  /**
   * Calls back when another process has committed something; may call without reason. With `heads`: all that is known to
   * have changed is that these slots have messages below `next` (durable). Returns the way to stop.
   */
  watch(changed: (heads?: readonly Head[]) => void): () => void
  [Symbol.asyncDispose](): Promise<void>
}

/** What a user hands to `fairlead({ store })`: nothing is opened before the app starts. */
export type StoreAdapter = {
  readonly kind: string
  /** Opens, checks and migrates. Rejects with `store.open`, `store.corrupt`, `store.newer`, `store.foreign`, `store.readonly`. */
  open(runtime: Omit<Runtime, 'store'>): Promise<Store>
}

export type StoreCan = {
  /** Whether an acknowledged commit survives a power cut. */
  readonly durable: boolean
  /** Who may share it: only this process, several on one machine, or several machines. */
  readonly shared: 'process' | 'machine' | 'fleet'
  /** `one`: while an interactive transaction is open, everybody else's commits wait. */
  readonly writers: 'one' | 'many'
  /** Whether the log lies in segments that `shed` drops whole; otherwise `trim` removes its messages one by one. */
  readonly segments: boolean
  /** Whether it is also a `Joinable`. */
  readonly joins: boolean
}

/** A store that takes messages in a transaction that somebody else has opened on the same database, with a client of their own. */
export interface Joinable {
  /** The statement that hands the message over: it appears in the log soon after their commit, or never. */
  handOver(entry: Entry): Sql
}

export type Head = { readonly slot: number; readonly next: number }

export type Sync = 'durable' | 'relaxed'

export type StoreTransaction = {
  query(statement: Sql): Promise<readonly SqlRow[]>
  /** Applies the units and commits. When a guard fails everything is rolled back, the user's statements too. */
  commit(units: readonly Unit[]): Promise<readonly Outcome[]>
  rollback(): Promise<void>
}

/** All or nothing. Guards are checked first. */
export type Unit = { readonly guards?: readonly Guard[]; readonly writes: readonly Write[] }

export type Guard =
  /** The lease is still held under this epoch. */
  | { readonly guard: 'lease'; readonly name: string; readonly epoch: number }
  /** The key has this version; 0: it is absent or expired at `now`. */
  | { readonly guard: 'key'; readonly name: string; readonly version: number; readonly now: number }
  /** The parked message is in one of these states and, if one is given, still has this body: a person may have edited it. */
  | {
      readonly guard: 'parked'
      readonly at: ParkedAt
      readonly states: readonly ParkedState[]
      readonly body?: string | Uint8Array
    }

export type Outcome =
  | { readonly ok: true; readonly results: readonly WriteResult[] }
  | { readonly ok: false; readonly failed: Guard }

export type Write =
  | { readonly write: 'append'; readonly entries: readonly Entry[] }
  /** Moves the cursor: the further mark wins, the bitmaps above it are united. So the order of advances does not matter. */
  | {
      readonly write: 'advance'
      readonly subscription: number
      readonly partition: number
      readonly low: number
      /** Bit 0 of byte 0 is `low` itself; null: nothing above is done. */
      readonly done: Uint8Array | null
    }
  /** Parks a message, once. `behind` becomes `retry` when nothing of its key is parked before it any more. */
  | { readonly write: 'park'; readonly parked: Parked }
  /** Changes a parked message, unless its row is damaged: after another attempt, or by a person. An absent `body` stays as it is. */
  | {
      readonly write: 'repark'
      readonly at: ParkedAt
      readonly state: ParkedState
      readonly attempts: number
      readonly due: number
      readonly faults: string | null
      readonly heldBy: string | null
      readonly body?: string | Uint8Array
    }
  /** Puts `parked` in the place of a damaged row. One that is sound, or gone, stays as it is. Result: 1 when it was replaced. */
  | { readonly write: 'quarantine'; readonly parked: Parked }
  /** Removes the parked message and makes the next one of its key due at `now`. Result: how many of the key are left. */
  | { readonly write: 'unpark'; readonly at: ParkedAt; readonly now: number }
  /** Moves everything held for `heldBy` to a later time at once. */
  | { readonly write: 'postpone'; readonly subscription: number; readonly heldBy: string; readonly due: number }
  | { readonly write: 'put'; readonly name: string; readonly value: string; readonly expires: number | null }
  | { readonly write: 'drop'; readonly name: string }
  /** Takes the lease if it is free or `from` holds it. Result: the new epoch, or 0. */
  | { readonly write: 'lease'; readonly name: string; readonly worker: string; readonly from: string | null }
  | { readonly write: 'release'; readonly name: string; readonly worker: string }
  | { readonly write: 'worker'; readonly worker: Worker }
  | { readonly write: 'gone'; readonly worker: string }
  | { readonly write: 'delay'; readonly due: number; readonly entry: Entry }
  /** Appends the delayed entries due at `now`, at most `limit`, and removes them from the due index. Result: how many. */
  | { readonly write: 'fire'; readonly now: number; readonly limit: number }
  | {
      readonly write: 'call'
      readonly time: number
      readonly connection: string
      readonly operation: string
      readonly outcome: string
      readonly record: string
    }
  | {
      readonly write: 'audit'
      readonly time: number
      readonly verb: string
      readonly subject: string
      readonly detail: string
    }
  /**
   * In a store that `can.segments`: begins a new segment of the topic where the newest is older than `span` ms, and drops
   * those in which every message is older than `before` and below `below` of its partition: a few at a time, each at the
   * cost of a file. Result: messages dropped. Elsewhere nothing, 0.
   */
  | {
      readonly write: 'shed'
      readonly slot: number
      readonly now: number
      readonly before: number
      readonly span: number
      readonly below: readonly number[]
    }
  /** Removes, at most `limit` rows, what is older than `before` (log: in this slot, never past `below`). Result: rows removed. */
  | {
      readonly write: 'trim'
      readonly what: 'log'
      readonly slot: number
      readonly before: number
      readonly below: number
      readonly limit: number
    }
  | {
      readonly write: 'trim'
      readonly what: 'calls' | 'audit' | 'keys' | 'seen'
      readonly before: number
      readonly limit: number
    }
  /** Among offsets [from, below) removes, at most `limit`, messages that have a newer one of their key. Result: rows removed. */
  | {
      readonly write: 'compact'
      readonly slot: number
      readonly from: number
      readonly below: number
      readonly limit: number
    }
  /** Makes the topic known. Result: its first slot; a topic keeps the partition count it was born with. Faults: `config.option` when all slots are taken. */
  | { readonly write: 'topic'; readonly name: string; readonly partitions: number }
  /** Makes the subscription known. Result: its number. `from` says where a new one begins. */
  | {
      readonly write: 'subscription'
      readonly name: string
      readonly topic: string
      readonly from: 'beginning' | 'now'
    }

export type WriteResult = number | readonly Appended[]

/** A message on its way into the log. `slot` is the topic's first slot plus the partition. */
export type Entry = {
  readonly slot: number
  readonly id: string
  readonly key: string | null
  readonly time: number
  /** JSON of the attributes that differ from their defaults, or null: nothing. */
  readonly meta: string | null
  /** JSON text, or bytes exactly as they came. */
  readonly body: string | Uint8Array
  /** The id was chosen by somebody else: a repetition within the window (ms) is answered with the first position. 0: the id is fresh. */
  readonly dedupe: number
}

export type Appended = { readonly slot: number; readonly offset: number; readonly duplicate: boolean }

/**
 * The row is not as it was written: what stands in it may be anything. Nobody may act on it, and it may not count as done. `missing`: so
 * many messages, from this offset on, are not there at all; 0: the row is there, as far as it can be read. Only a store that checks its rows
 * itself tells of it; one whose database does that rejects with `store.corrupt`.
 */
export type Damage = { readonly missing: number }

export type Stored = {
  readonly offset: number
  readonly time: number
  readonly id: string
  readonly key: string | null
  readonly meta: string | null
  readonly body: string | Uint8Array
  readonly damage?: Damage
}

/** An offset below zero (not beyond -2^47): the message came from another store, and stands before all that have a place in the log. */
export type ParkedAt = { readonly subscription: number; readonly partition: number; readonly offset: number }
/** `retry` runs at `due`; `held` too, without burning an attempt; `behind` waits for an earlier one of its key; `dead` for a person. */
export type ParkedState = 'retry' | 'held' | 'behind' | 'dead'

/** A parked message carries its own copy: retention of the log cannot take away what a person still has to decide about. */
export type Parked = ParkedAt & {
  readonly key: string | null
  readonly id: string
  readonly time: number
  readonly meta: string | null
  readonly body: string | Uint8Array
  readonly state: ParkedState
  readonly attempts: number
  readonly due: number
  readonly since: number
  /** JSON of the faults so far, the last one last, at most 10; null for `behind`. */
  readonly faults: string | null
  readonly heldBy: string | null
  readonly damage?: Damage
}

export type Worker = {
  readonly id: string
  /** Rises with every sign of life. */
  readonly beat: number
  /** Schema level that this worker was built for. */
  readonly level: number
  readonly host: string
  readonly pid: number
  readonly started: number
}

export type TopicRow = { readonly name: string; readonly slot: number; readonly partitions: number }
export type SubscriptionRow = { readonly id: number; readonly name: string; readonly topic: string }
export type CursorRow = { readonly partition: number; readonly low: number; readonly done: Uint8Array | null }
export type KeyRow = { readonly value: string; readonly version: number }
export type LeaseRow = { readonly name: string; readonly worker: string; readonly epoch: number }
export type CallRow = {
  readonly id: number
  readonly time: number
  readonly connection: string
  readonly operation: string
  readonly outcome: string
  readonly record: string
  readonly damage?: Damage
}
export type AuditRow = {
  readonly id: number
  readonly time: number
  readonly verb: string
  readonly subject: string
  readonly detail: string
  readonly damage?: Damage
}

export type Read =
  /** Messages of a slot with offset in [from, below), in order, at most `limit` and, past the first, `bytes`. */
  | {
      readonly read: 'log'
      readonly slot: number
      readonly from: number
      readonly below: number
      readonly limit: number
      readonly bytes: number
    }
  | { readonly read: 'newest'; readonly slot: number; readonly below: number; readonly limit: number }
  /** For each slot of every topic the next offset to be given; everything below it is durable. */
  | { readonly read: 'heads' }
  /** For each slot the lowest offset kept, and its head. */
  | { readonly read: 'bounds'; readonly slots: readonly number[] }
  | { readonly read: 'topics' }
  | { readonly read: 'subscriptions' }
  | { readonly read: 'cursors'; readonly subscription: number }
  | {
      readonly read: 'parked'
      readonly subscription?: number
      readonly partition?: number
      readonly state?: ParkedState
      readonly limit: number
      readonly after?: number
    }
  | { readonly read: 'parkedAt'; readonly at: ParkedAt }
  | {
      readonly read: 'due'
      readonly subscription: number
      readonly partitions: readonly number[]
      readonly now: number
      readonly limit: number
    }
  /** The earliest due time (later than `after`, if given) among parked messages of the subscription, or null. */
  | { readonly read: 'nextDue'; readonly subscription: number; readonly after?: number }
  | { readonly read: 'parkedKeys'; readonly subscription: number; readonly partition: number }
  /** The first parked message of the key, or null. */
  | { readonly read: 'parkedFirst'; readonly subscription: number; readonly partition: number; readonly key: string }
  | { readonly read: 'parkedCounts' }
  | { readonly read: 'key'; readonly name: string; readonly now: number }
  | { readonly read: 'keys'; readonly prefix: string; readonly now: number }
  | { readonly read: 'leases' }
  | { readonly read: 'workers' }
  | { readonly read: 'nextDelayed' }
  | {
      readonly read: 'calls'
      readonly connection?: string
      readonly outcome?: string
      readonly before?: number
      readonly limit: number
    }
  | { readonly read: 'audit'; readonly limit: number }
  | { readonly read: 'size' }

type Results = {
  log: readonly Stored[]
  newest: readonly Stored[]
  heads: readonly Head[]
  bounds: readonly { readonly slot: number; readonly first: number; readonly next: number }[]
  topics: readonly TopicRow[]
  subscriptions: readonly SubscriptionRow[]
  cursors: readonly CursorRow[]
  parked: readonly (Parked & { readonly row: number })[]
  parkedAt: Parked | null
  parkedFirst: Parked | null
  due: readonly Parked[]
  nextDue: number | null
  parkedKeys: readonly string[]
  parkedCounts: readonly { readonly subscription: number; readonly state: ParkedState; readonly count: number }[]
  key: KeyRow | null
  keys: readonly (KeyRow & { readonly name: string })[]
  leases: readonly LeaseRow[]
  workers: readonly Worker[]
  nextDelayed: number | null
  calls: readonly CallRow[]
  audit: readonly AuditRow[]
  size: { readonly bytes: number }
}

export type ReadResult<R extends Read> = Results[R['read']]

/** Slots a store has: 32,768 topic partitions, of 2^38 (2.7 × 10^11) messages each. */
export const slotCount = 32_768
export const offsetCount = 2 ** 38
