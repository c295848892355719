/**
 * What a worker says of itself with every beat, as the key `worker/<id>` beside its row: the row says that it lives, the
 * card what it can be counted on for. They are written, and go, together.
 */
export type Card = {
  /** The beat that it was written with. */
  readonly beat: number
  /** The subscriptions that it takes partitions of; none while it drains, or when it is outdated. */
  readonly works: readonly string[]
  /** Its wall clock when it wrote this. */
  readonly wall: number
  /** A newer worker has migrated the store: it hands over what it has and waits to be replaced. */
  readonly outdated: boolean
  /** Workers whose wall clocks are more than 5 s from its own: by how many ms they are ahead. */
  readonly skew: Readonly<Record<string, number>>
}

export const cardPrefix = 'worker/'

export function cardName(worker: string): string {
  return cardPrefix + worker
}

/** The card; undefined for one that another version wrote in a way that we cannot read. */
export function readCard(text: string): Card | undefined {
  try {
    const { beat, works, wall, outdated, skew } = JSON.parse(text) as Partial<Card>
    if (!Array.isArray(works) || typeof beat !== 'number' || typeof wall !== 'number') return undefined
    return { beat, works, wall, outdated: outdated ?? false, skew: skew ?? {} }
  } catch {
    return undefined
  }
}

/** More than this between two wall clocks is said. */
export const skewLimit = 5_000

/**
 * By how many ms another worker's wall clock is certainly ahead of ours (pure): 0 when the difference may be explained by
 * the way of the beat. `wall` is what it wrote, seen at our `now`; it was not there yet `since` ms before.
 */
export function skewOf(wall: number, now: number, since: number): number {
  const ahead = wall - now
  // Written just now its clock is ahead by that much; written right after our last look, by so much more.
  if (ahead > skewLimit) return ahead
  if (ahead + since < -skewLimit) return ahead + since
  return 0
}

/** What the others say about a worker's clock: the middle of it, the smaller where there are two. Who says nothing saw no difference. */
export function agreedSkew(worker: string, cards: ReadonlyMap<string, Card>): number {
  const said = [...cards].filter(([id]) => id !== worker).map(([, card]) => card.skew[worker] ?? 0)
  said.sort((a, b) => a - b)
  const [low, high] = [said[(said.length - 1) >> 1] ?? 0, said[said.length >> 1] ?? 0]
  return Math.abs(low) < Math.abs(high) ? low : high
}
