/** A part of a partition's log that is replayed: `next` is the first offset that has not been put on its way. */
export type ReplayRange = {
  readonly partition: number
  readonly from: number
  readonly next: number
  readonly below: number
}

/** How far the replay of a topic into a subscription has come: one key of the store, moved on in the commit that parks. */
export type ReplayState = {
  readonly subscription: string
  readonly topic: string
  readonly by: string
  /** RFC 3339. */
  readonly since: string
  readonly reason: string
  /** Whether the subscription reads new messages of a partition while its range has not been put on its way. */
  readonly live: 'waits' | 'goes on'
  readonly ranges: readonly ReplayRange[]
  /**
   * At its end, or given up. The key stays: its version must not begin anew, or an operator who has slept through that could take
   * the next replay for its own.
   */
  readonly over?: true
}

/** Where replays are kept: the last one of each subscription. */
export const replayPrefix = 'replay/'

export function replayKey(subscription: string): string {
  return replayPrefix + subscription
}

/** The replays of a store as they were read: those that have not come to their end. */
export class Replays {
  readonly all: readonly ReplayState[]

  constructor(keys: readonly { readonly value: string }[]) {
    this.all = keys.map((k) => JSON.parse(k.value) as ReplayState).filter((r) => !r.over)
  }

  /** Partitions of which the subscription reads nothing new: it was set back there, and has not come to its old place again. */
  holds(subscription: string): ReadonlySet<number> {
    const replay = this.all.find((r) => r.subscription === subscription && r.live === 'waits')
    return new Set(replay?.ranges.filter((r) => r.next < r.below).map((r) => r.partition))
  }
}
