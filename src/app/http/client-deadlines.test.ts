import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { virtualClock } from '#testing/clock.ts'
import { Deadlines, type Timed } from './client-deadlines.ts'

test('ends each at its time, late ones that moved at their later time, with one timer and none when empty', async () => {
  const work = fc.record({
    due: fc.integer({ min: 0, max: 500 }),
    later: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
    done: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(work, { maxLength: 20 }), async (all) => {
      const clock = virtualClock()
      const deadlines = new Deadlines(clock)
      const ended: [number, number][] = []
      const timed = all.map(({ due }, i): Timed => ({
        due,
        place: -1,
        expire: () => void ended.push([i, clock.mono()]),
      }))
      for (const t of timed) deadlines.watch(t)
      all.forEach(({ later, done }, i) => {
        if (later !== undefined) timed[i]!.due += later
        if (done) deadlines.forget(timed[i]!)
        if (done) deadlines.forget(timed[i]!)
      })
      assert.equal(clock.armed, all.some((w) => !w.done) ? 1 : 0)
      await clock.advance(1_000)
      const expected = all.flatMap(({ due, later = 0, done }, i): [number, number][] =>
        done ? [] : [[i, due + later]],
      )
      assert.deepEqual(
        ended.toSorted(([a], [b]) => a - b),
        expected,
      )
      assert.equal(clock.armed, 0)
    }),
    { numRuns: 50 },
  )
})
