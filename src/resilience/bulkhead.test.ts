import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { bulkhead } from './bulkhead.ts'
import { breaker } from './breaker.ts'
import { compose } from './compose.ts'
import { Queue } from './queue.ts'
import { timeout } from './timeout.ts'

const random = seededRandom(3)

/** Work that ends when told. */
function doors(): { readonly started: number[]; work(n: number): () => Promise<number>; open(n: number): void } {
  const ends = new Map<number, () => void>()
  const started: number[] = []
  return {
    started,
    work: (n) => () => {
      started.push(n)
      return new Promise((resolve) => ends.set(n, () => resolve(n)))
    },
    open: (n) => ends.get(n)!(),
  }
}

test('lets 20 in, lets 100 wait, refuses the next', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random, name: 'slow' }, bulkhead())
  const d = doors()
  const runs = Array.from({ length: 120 }, (_, i) => p.run(d.work(i)))
  assert.deepEqual([p.bulkhead!.active, p.bulkhead!.waiting], [20, 100])
  await assert.rejects(p.run(d.work(120)), (e) => {
    assert.ok(isFault(e, 'resilience.bulkhead_full'))
    assert.deepEqual(e.detail, { pipeline: 'slow', concurrent: 20, waiting: 100 })
    return true
  })
  for (let i = 0; i < 120; i++) {
    d.open(i)
    await runs[i]
  }
  assert.deepEqual(
    d.started,
    Array.from({ length: 120 }, (_, i) => i),
  )
  assert.deepEqual([p.bulkhead!.active, p.bulkhead!.waiting], [0, 0])
})

test('never above its limits, first come first served, and those who gave up leave', async () => {
  const action = fc.oneof(
    fc.constant({ do: 'call' as const, n: 0 }),
    fc.record({ do: fc.constantFrom('end' as const, 'abort' as const), n: fc.nat(30) }),
  )
  const limits = fc.record({ concurrent: fc.integer({ min: 1, max: 4 }), waiting: fc.nat(4) })
  await fc.assert(
    fc.asyncProperty(
      limits,
      fc.array(action, { maxLength: 40, size: 'max' }),
      async ({ concurrent, waiting }, actions) => {
        const clock = virtualClock()
        const p = compose({ clock, random }, bulkhead({ concurrent, waiting }))
        const d = doors()
        const aborts: AbortController[] = []
        // The model: who is inside (a place is held until the work ends), who waits, who was ever started.
        let inside: number[] = []
        let queue: number[] = []
        const started: number[] = []
        const pull = (): void => {
          while (inside.length < concurrent && queue.length > 0) {
            const next = queue.shift()!
            inside.push(next)
            started.push(next)
          }
        }
        for (const { do: what, n } of actions) {
          if (what === 'call') {
            const id = aborts.length
            const abort = new AbortController()
            aborts.push(abort)
            const refuse = inside.length >= concurrent && queue.length >= waiting
            const run = p.run(d.work(id), { signal: abort.signal })
            if (refuse) await assert.rejects(run, (e) => isFault(e, 'resilience.bulkhead_full'))
            else {
              run.catch(() => {})
              queue.push(id)
              pull()
            }
          } else if (what === 'end' && inside.length > 0) {
            const id = inside[n % inside.length]!
            d.open(id)
            await settle()
            inside = inside.filter((x) => x !== id)
            pull()
          } else if (what === 'abort' && aborts.length > 0) {
            const id = n % aborts.length
            aborts[id]!.abort()
            queue = queue.filter((x) => x !== id)
          }
          assert.deepEqual(d.started, started)
          assert.deepEqual([p.bulkhead!.active, p.bulkhead!.waiting], [inside.length, queue.length])
          assert.ok(p.bulkhead!.active <= concurrent && p.bulkhead!.waiting <= waiting)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('work that goes on after its limit keeps its place until it has really ended', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, timeout('1s'), bulkhead({ concurrent: 1 }))
  const d = doors()
  const first = p.run(d.work(1))
  await Promise.all([assert.rejects(first), clock.advance(1_000)])
  assert.equal(p.bulkhead!.active, 1)
  const second = p.run(d.work(2))
  await settle()
  assert.deepEqual(d.started, [1])
  d.open(1)
  await settle()
  assert.deepEqual(d.started, [1, 2])
  d.open(2)
  assert.equal(await second, 2)
  p.close()
})

test('ten thousand waiting calls that are refused one after the other do not exhaust the stack', async () => {
  const clock = virtualClock()
  const p = compose({ clock, random }, bulkhead({ concurrent: 1, waiting: 10_000 }), breaker())
  const d = doors()
  const first = p.run(d.work(0))
  const rest = Array.from({ length: 10_000 }, () => p.run(() => Promise.resolve()))
  p.breaker!.isolate()
  d.open(0)
  await first
  for (const r of await Promise.allSettled(rest)) {
    assert.ok(r.status === 'rejected' && isFault(r.reason, 'resilience.breaker_open'))
  }
  assert.deepEqual([p.bulkhead!.active, p.bulkhead!.waiting], [0, 0])
})

test('the queue is a list from which anyone may leave', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant(-1), fc.constant(-2), fc.nat(20))), (steps) => {
      const queue = new Queue<number>()
      const places: ReturnType<typeof queue.push>[] = []
      let model: number[] = []
      for (const step of steps) {
        if (step === -1) {
          model.push(places.length)
          places.push(queue.push(places.length))
        } else if (step === -2) assert.equal(queue.shift(), model.shift())
        else if (places[step]) {
          queue.remove(places[step])
          model = model.filter((x) => x !== step)
        }
        assert.equal(queue.size, model.length)
      }
      for (const expected of [...model, undefined]) assert.equal(queue.shift(), expected)
    }),
  )
})

test('refuses wrong options', () => {
  assert.throws(() => bulkhead({ concurrent: 0 }), /concurrent/)
  assert.throws(() => bulkhead({ waitng: 5 } as never), /did you mean "waiting"/)
})
