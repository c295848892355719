/**
 * How often, and in what order, one thing was seen in the trials of its place: a field in the answers that have its parent, a type
 * among the answers that have the field. Numbers are trials, counted from 1.
 */
export type Tally = {
  /** Trials in which it was seen; the first and the last of them. */
  count: number
  first: number
  last: number
  /** Trials before `base` do not speak about it: it was announced as new. */
  base: number
  /** Longest time without it so far, the time before it was first seen included. */
  gap: number
  /** Trials in a row in which it was seen, up to `last`. */
  run: number
  /** As `count`, but at most one in so many trials as the longest stretch is: what comes in bursts counts once a burst. */
  spread: number
  marked: number
  /** Was there when its shape had settled, or has been announced. */
  known: boolean
  /** Was announced as gone, and not seen since. */
  gone: boolean
  /** Wall clock, first time. */
  at: number
}

export function tally(trial: number, now: number): Tally {
  const gap = trial - 1
  return {
    count: 1,
    first: trial,
    last: trial,
    base: 0,
    gap,
    run: 1,
    spread: 1,
    marked: trial,
    known: false,
    gone: false,
    at: now,
  }
}

/** Once a trial. Returns the length of the run that has ended with this trial's predecessor, 0 if none has. */
export function hit(t: Tally, trial: number, stretch: number): number {
  const gap = trial - t.last - 1
  const ended = gap > 0 ? t.run : 0
  t.count++
  t.last = trial
  if (gap > t.gap) t.gap = gap
  t.run = gap > 0 ? 1 : t.run + 1
  if (trial - t.marked >= blockOf(stretch)) {
    t.spread++
    t.marked = trial
  }
  return ended
}

/** A change is believed when chance would bring it about less than once in a thousand million. */
const doubt = 1e-9
const least = 5

/**
 * Whether what was always or often seen has gone. Three things must hold, `missed` being the trials since it was last seen.
 *
 * 1. If its trials could be in any order, so long an absence at the end would come with a chance of `count` hits all falling into
 *    the first `seen` of `seen + missed` trials: C(seen, count) / C(seen + missed, count), at most 1e-9. For a field that was in all
 *    of 200 answers that is 5 answers without it. (The rule of three would already call 3/200 its highest rate of absence.) What has
 *    been missing before is counted in stretches rather than trials: one burst of it is one sighting.
 * 2. It has been gone four times as long as ever before: what comes and goes by day or week has shown its longest gap. For
 *    independent trials this alone makes false alarms of a place sum up to less than 1e-6 in any time, since the longest gap grows with
 *    the logarithm of the trials: the chance after n of them is n^-4.
 * 3. It has been gone twice as long as the longest stretch of anything that comes in bursts here (`stretch`): a rare kind of answer
 *    that comes ten in a row lacks ten times what the others have.
 */
export function isGone(t: Tally, trial: number, stretch: number): boolean {
  const missed = trial - t.last
  const seen = t.last - t.base
  if (t.gone || t.count < least || missed < Math.max(least, 4 * t.gap)) return false
  if (t.gap === 0) {
    const bursts = seen >= 100 * stretch ? 0 : 2 * stretch
    return missed >= bursts && allBefore(t.count, seen, missed) <= doubt
  }
  // Its own last row is not over as long as nothing has followed it.
  const longest = Math.max(stretch, Math.min(t.run, 1_000))
  const blocks = Math.ceil(seen / longest)
  // `spread` counts in blocks, which are a third as long.
  const row = t.run > stretch ? Math.ceil(t.run / blockOf(stretch)) - 1 : 0
  const sightings = Math.min(Math.max(1, Math.ceil(((t.spread - row) * blockOf(longest)) / longest)), blocks)
  return missed >= 2 * longest && allBefore(sightings, blocks, Math.floor(missed / longest)) <= doubt
}

/**
 * Whether what was never seen before has come to stay: seen at least five times, and so that a constant rate would not explain why it
 * was not seen earlier (the same formula, mirrored). Counted in stretches rather than trials, so that one burst of a rare kind
 * counts once.
 */
export function isNew(t: Tally, trial: number, stretch: number): boolean {
  if (t.known || t.count < least) return false
  const block = blockOf(stretch)
  const since = Math.ceil((trial - t.first + 1) / block)
  return allBefore(Math.min(t.spread, since), since, Math.floor((t.first - 1) / block)) <= doubt
}

/** Of the longest of many rows, a third is about the usual one. */
export function blockOf(stretch: number): number {
  return Math.ceil(stretch / 3)
}

/** The chance that `hits` hits among `inside + outside` trials all fall inside: Π (inside - i) / (inside + outside - i). */
export function allBefore(hits: number, inside: number, outside: number): number {
  const all = inside + outside
  let p = 1
  // C(n, k) / C(n + m, k) = C(n + m - k, m) / C(n + m, m): the shorter product of the two.
  if (hits <= outside) for (let i = 0; i < hits && p > 1e-30; i++) p *= (inside - i) / (all - i)
  else for (let i = 0; i < outside && p > 1e-30; i++) p *= (all - hits - i) / (all - i)
  return p
}
