import { hash53 } from '#kernel/hash.ts'

/**
 * Which worker should have which partition of a subscription (pure): rendezvous hashing with quotas.
 *
 * Each candidate may have ⌊partitions/candidates⌋ of them; the remainder goes, one each, to those whose hash with the
 * subscription is highest, so that many subscriptions of one partition spread too. A holder keeps what is within its quota, those
 * with the highest hash first; what is left goes to the candidate below its quota that has the highest hash. So loads differ by
 * at most one; of a settled fleet a worker that joins is given its quota and nothing else moves; of one that leaves only
 * what it had moves. It is a preference: who owns a partition is decided by its lease.
 *
 * Index: the partition. Undefined: there is no candidate. The order of `candidates` does not matter.
 */
export function shares(of: {
  readonly subscription: string
  readonly partitions: number
  readonly candidates: readonly string[]
  /** Who holds each partition at present, candidate or not; undefined: it is free. */
  readonly holders: readonly (string | undefined)[]
}): readonly (string | undefined)[] {
  const { subscription, partitions, candidates, holders } = of
  const plan = Array.from<string | undefined>({ length: partitions })
  if (candidates.length === 0) return plan
  const left = quotas(subscription, partitions, candidates)
  for (const [worker, quota] of left) {
    const held = plan.map((_, p) => p).filter((p) => holders[p] === worker)
    const kept = held.length <= quota ? held : byHash(held, (p) => weight(worker, subscription, p)).slice(0, quota)
    for (const p of kept) plan[p] = worker
    left.set(worker, quota - kept.length)
  }
  for (let p = 0; p < partitions; p++) {
    if (plan[p] !== undefined) continue
    const open = [...left].filter(([, n]) => n > 0).map(([worker]) => worker)
    const [first] = byHash(open, (worker) => weight(worker, subscription, p))
    plan[p] = first
    left.set(first!, left.get(first!)! - 1)
  }
  return plan
}

/** How many partitions each candidate may have; they add up to all of them. */
function quotas(subscription: string, partitions: number, candidates: readonly string[]): Map<string, number> {
  const least = Math.floor(partitions / candidates.length)
  const more = partitions % candidates.length
  const ranked = more === 0 ? candidates : byHash(candidates, (worker) => weight(worker, subscription, -1))
  return new Map(ranked.map((worker, i) => [worker, least + (i < more ? 1 : 0)]))
}

function weight(worker: string, subscription: string, partition: number): number {
  return hash53(`${worker} ${partition} ${subscription}`)
}

/** Highest first; of two that are equal the greater one, so that everybody sees the same order. */
function byHash<T extends string | number>(list: readonly T[], hash: (of: T) => number): T[] {
  return list
    .map((of) => ({ of, hash: hash(of) }))
    .sort((a, b) => b.hash - a.hash || (a.of < b.of ? 1 : -1))
    .map(({ of }) => of)
}
