import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { allBefore, hit, isGone, isNew, tally, type Tally } from './tally.ts'

/** A tally after these trials: where it was seen, in a world without bursts. */
const after = (seen: readonly boolean[], stretch = 1): Tally => {
  let t: Tally | undefined
  for (const [i, yes] of seen.entries()) {
    if (!yes) continue
    if (t) hit(t, i + 1, stretch)
    else t = tally(i + 1, 0)
  }
  assert.ok(t)
  return t
}
const times = (n: number, yes: boolean): boolean[] => Array.from({ length: n }, () => yes)
/** Trials until it is believed. */
const until = (seen: readonly boolean[], next: boolean, believed: (t: Tally, trial: number) => boolean): number => {
  const all = [...seen]
  for (let delay = 1; delay <= 5_000; delay++) {
    all.push(next)
    if (believed(after(all), all.length)) return delay
  }
  return Number.POSITIVE_INFINITY
}

test('the chance that all hits fall inside is that of drawing without putting back', () => {
  const choose = (n: bigint, k: bigint): bigint => {
    let out = 1n
    for (let i = 0n; i < k; i++) out = (out * (n - i)) / (i + 1n)
    return out
  }
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 0, max: 60 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (inside, outside, share) => {
        const hits = Math.ceil(share * inside)
        const exact =
          Number(choose(BigInt(inside), BigInt(hits))) / Number(choose(BigInt(inside + outside), BigInt(hits)))
        const p = allBefore(hits, inside, outside)
        assert.ok(
          exact < 1e-29 ? p < 1e-28 : Math.abs(p - exact) / exact < 1e-9,
          `${hits} ${inside} ${outside}: ${p} ${exact}`,
        )
      },
    ),
  )
})

test('what was always there has gone after few answers, what was often there after more, what was rare after many', () => {
  const every = (n: number): boolean[] => Array.from({ length: 1_000 }, (_, i) => i % n === 0)
  const gone = (seen: readonly boolean[]): number => until(seen, false, (t, trial) => isGone(t, trial, 1))
  assert.deepEqual([gone(times(1_000, true)), gone(times(200, true)), gone(times(50, true))], [5, 5, 8])
  const [half, tenth, hundredth] = [gone(every(2)), gone(every(10)), gone(every(100))]
  assert.ok(
    half >= 20 && half < 50 && tenth > half && tenth < 300 && hundredth > 3 * tenth,
    `${half} ${tenth} ${hundredth}`,
  )
})

test('what never was there has come after few answers, or when a constant rate does not explain it any more', () => {
  const come = (n: number): number => until(times(n, false), true, (t, trial) => isNew(t, trial, 1))
  assert.deepEqual([come(1_000), come(200), come(50)], [5, 5, 8])
  // Once in a hundred, and first seen after a hundred: nothing new.
  const rare = Array.from({ length: 5_000 }, (_, i) => i > 100 && i % 100 === 0)
  assert.equal(isNew(after(rare), 4_901, 1), false)
})

test('one burst of a rare kind is one sighting, and its end no end', () => {
  const burst = [...times(2_000, false), ...times(40, true)]
  assert.equal(isNew(after(burst, 40), burst.length, 40), false)
  assert.equal(isNew(after(burst, 1), burst.length, 1), true, 'where nothing comes in bursts it would be news')
  const ended = [...times(300, false), ...times(40, true), ...times(2_000, false)]
  assert.equal(isGone(after(ended, 40), ended.length, 40), false)
})

test('an absence four times as long as any before is believed, a shorter one not, however unlikely', () => {
  // Never at night: 100 answers with it, 100 without.
  const days = Array.from({ length: 20_000 }, (_, i) => i % 200 < 100)
  const t = after(days)
  assert.equal(isGone(t, t.last + 399, 1), false)
  assert.equal(isGone(t, t.last + 500, 1), true)
})

test('chance alone: of 2,000 features of all rates, over 20,000 answers each, none comes or goes', () => {
  let state = 1
  const float = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
  let alarms = 0
  for (let feature = 0; feature < 2_000; feature++) {
    const rate = float() ** 3
    let t: Tally | undefined
    for (let trial = 1; trial <= 20_000; trial++) {
      const seen = float() < rate
      if (seen && t) hit(t, trial, 8)
      else if (seen) t = tally(trial, 0)
      if (t && trial === 300) t.known = true
      if (t && trial > 300 && (seen ? isNew(t, trial, 8) : isGone(t, trial, 8))) {
        alarms++
        t.known = true
        t.gone = true
      }
    }
  }
  assert.equal(alarms, 0)
})
