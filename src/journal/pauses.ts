/** What can be paused: a topic (all its subscriptions), a subscription, one partition of a subscription. */
export type PauseTarget = { readonly topic: string } | { readonly subscription: string; readonly partition?: number }

/** Who paused it, when, why. */
export type Pause = PauseTarget & {
  readonly by: string
  /** RFC 3339. */
  readonly since: string
  readonly reason: string
}

/** Where pauses are kept: one key each, so that they hold in the whole fleet and across restarts. */
export const pausePrefix = 'pause/'

export function pauseKey(target: PauseTarget): string {
  if ('topic' in target) return `${pausePrefix}topic/${target.topic}`
  if (target.partition === undefined) return `${pausePrefix}subscription/${target.subscription}`
  return `${pausePrefix}partition/${target.subscription}/${target.partition}`
}

/** The pauses of a store as they were read. What counts is that a key is there; its value is for people. */
export class Pauses {
  readonly #keys: ReadonlySet<string>
  readonly all: readonly Pause[]

  constructor(keys: readonly { readonly name: string; readonly value: string }[]) {
    this.#keys = new Set(keys.map((k) => k.name))
    this.all = keys.flatMap((k) => parsed(k.value))
  }

  /** Whether the subscription stands still as a whole: it is paused, or its topic is. */
  whole(subscription: string, topic: string): boolean {
    return this.#keys.has(pauseKey({ subscription })) || this.#keys.has(pauseKey({ topic }))
  }

  partitions(subscription: string): ReadonlySet<number> {
    const prefix = `${pausePrefix}partition/${subscription}/`
    return new Set([...this.#keys].filter((k) => k.startsWith(prefix)).map((k) => Number(k.slice(prefix.length))))
  }
}

function parsed(value: string): Pause[] {
  try {
    const pause: unknown = JSON.parse(value)
    return typeof pause === 'object' && pause !== null ? [pause as Pause] : []
  } catch {
    return []
  }
}
