import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Clock } from '#kernel/clock.ts'
import { Entry, Wheel } from './wheel.ts'

type Manual = Clock & { at: number; readonly armed: number; readonly arms: number; run(until: number): void }

/** Synchronous time with one timer list: advancing millions of milliseconds costs nothing. `early` fires timers early, as setTimeout may. */
function manualClock(early = 0): Manual {
  const timers = new Map<object, { at: number; fn: () => void }>()
  let arms = 0
  return {
    at: 0,
    now: () => 0,
    mono() {
      return this.at
    },
    after(ms, fn) {
      const key = {}
      arms++
      timers.set(key, { at: this.at + Math.max(0, ms), fn })
      return () => timers.delete(key)
    },
    soon: (fn) => fn(),
    get armed() {
      return timers.size
    },
    get arms() {
      return arms
    },
    run(until) {
      for (;;) {
        let next: { key: object; at: number; fn: () => void } | undefined
        for (const [key, t] of timers) if (next === undefined || t.at < next.at) next = { key, ...t }
        if (next === undefined || next.at > until) break
        timers.delete(next.key)
        // Early by less than the way to go, so that time still passes.
        this.at = Math.max(this.at, next.at - Math.min(early, (next.at - this.at) / 2))
        next.fn()
      }
      this.at = Math.max(this.at, until)
    },
  }
}

class Note extends Entry {
  readonly id: number
  readonly log: (string | number)[]
  constructor(id: number, log: (string | number)[]) {
    super()
    this.id = id
    this.log = log
  }
  fire(): void {
    this.log.push(this.id)
  }
  close(): void {
    this.log.push(`closed ${this.id}`)
  }
}

test('fires like a sorted list: at the due time, in order, never what was removed', () => {
  const delay = fc.oneof(
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 0, max: 3_000 }),
    fc.integer({ min: 0, max: 200_000 }),
    // The borders of the levels.
    fc.integer({ min: 900, max: 1_100 }),
    fc.integer({ min: 64_000, max: 66_000 }),
    fc.integer({ min: 4_120_000, max: 4_200_000 }),
    fc.integer({ min: 0, max: 20_000_000 }),
    // Fractions that add up exactly, so that the model's sums and the clock's are the same numbers.
    fc.integer({ min: 0, max: 70_000 * 1024 }).map((n) => n / 1024),
  )
  const action = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('add' as const), n: delay }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), n: fc.nat(50) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), n: delay }) },
  )
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60, size: 'max' }), (actions) => {
      const clock = manualClock()
      const wheel = new Wheel(clock)
      const fired: string[] = []
      const entries: Note[] = []
      let model: { id: number; due: number }[] = []
      const expected: string[] = []
      for (const { do: what, n } of actions) {
        if (what === 'add') {
          const id = entries.length
          const note = new Note(id, [])
          note.fire = () => fired.push(`${id}@${clock.at}`)
          entries.push(note)
          wheel.add(note, clock.at + n, clock.at)
          model.push({ id, due: clock.at + n })
        } else if (what === 'remove' && entries.length > 0) {
          const id = Math.floor(n) % entries.length
          wheel.remove(entries[id]!)
          model = model.filter((m) => m.id !== id)
        } else if (what === 'advance') {
          const until = clock.at + n
          const due = model.filter((m) => m.due <= until).sort((a, b) => a.due - b.due || a.id - b.id)
          model = model.filter((m) => m.due > until)
          for (const m of due) expected.push(`${m.id}@${m.due}`)
          clock.run(until)
        }
        assert.deepEqual(fired, expected)
        assert.equal(wheel.size, model.length)
        assert.ok(clock.armed <= 1)
      }
    }),
    { numRuns: 600 },
  )
})

test('does not fire before the due time when the timer of the clock comes early', () => {
  const clock = manualClock(0.9)
  const wheel = new Wheel(clock)
  const at: number[] = []
  for (const due of [10, 1_000, 31_000, 90_000]) {
    const note = new Note(due, [])
    note.fire = () => at.push(clock.at)
    wheel.add(note, due, 0)
  }
  clock.run(100_000)
  assert.equal(at.length, 4)
  for (const [i, due] of [10, 1_000, 31_000, 90_000].entries()) assert.ok(at[i]! >= due, `${at[i]} before ${due}`)
})

test('arms the clock once for ten thousand calls that end before their limit', () => {
  const clock = manualClock()
  const wheel = new Wheel(clock)
  const note = new Note(1, [])
  for (let i = 0; i < 10_000; i++) {
    wheel.add(note, clock.at + 30_000, clock.at)
    clock.run(clock.at + 1)
    wheel.remove(note)
  }
  assert.equal(clock.arms, 1)
  clock.run(clock.at + 60_000)
  assert.equal(clock.armed, 0)
  assert.deepEqual(note.log, [])
})

test('wakes about once per limit under steady load, not once per call', () => {
  const clock = manualClock()
  const wheel = new Wheel(clock)
  const inFlight: Note[] = []
  for (let i = 0; i < 120_000; i++) {
    clock.run(i)
    const note = new Note(i, [])
    wheel.add(note, i + 30_000, i)
    inFlight.push(note)
    if (inFlight.length > 50) wheel.remove(inFlight.shift()!)
  }
  assert.ok(clock.arms <= 10, `${clock.arms} timers in 120 s`)
  wheel.close()
})

test('an entry nearly a turn of a level away does not hide a nearer one', () => {
  const clock = manualClock()
  const wheel = new Wheel(clock)
  clock.at = 1_600
  const at: number[] = []
  for (const delay of [65_440, 3_200, 5]) {
    const note = new Note(delay, [])
    note.fire = () => at.push(clock.at - 1_600)
    wheel.add(note, 1_600 + delay, 1_600)
  }
  clock.run(100_000)
  assert.deepEqual(at, [5, 3_200, 65_440])
})

test('an entry may be removed, and others added, while entries fire', () => {
  const clock = manualClock()
  const wheel = new Wheel(clock)
  const log: (string | number)[] = []
  const [a, b, c] = [new Note(1, log), new Note(2, log), new Note(3, log)]
  a.fire = () => {
    log.push(1)
    wheel.remove(b)
    wheel.add(c, clock.at, clock.at)
  }
  wheel.add(a, 10, 0)
  wheel.add(b, 10, 0)
  clock.run(10)
  assert.deepEqual(log, [1, 3])
  assert.equal(wheel.size, 0)
})

test('closing gives the timer back and closes what is left in order, nothing fires any more', () => {
  const clock = manualClock()
  const wheel = new Wheel(clock)
  const log: (string | number)[] = []
  wheel.add(new Note(1, log), 90_000, 0)
  wheel.add(new Note(2, log), 5, 0)
  wheel.close()
  assert.equal(clock.armed, 0)
  assert.deepEqual(log, ['closed 2', 'closed 1'])
  wheel.add(new Note(3, log), 5, 0)
  assert.equal(clock.armed, 0)
  clock.run(100_000)
  assert.deepEqual(log, ['closed 2', 'closed 1'])
})

test('what is due in 100 days fires then, although timers of platforms end after 24 days', () => {
  const clock = manualClock()
  const wheel = new Wheel(clock)
  const note = new Note(1, [])
  const due = 100 * 86_400_000
  const after = clock.after.bind(clock)
  clock.after = (ms, fn) => {
    assert.ok(ms <= 2 ** 31 - 1)
    return after(ms, fn)
  }
  wheel.add(note, due, 0)
  clock.run(due - 1)
  assert.deepEqual(note.log, [])
  clock.run(due)
  assert.deepEqual(note.log, [1])
})
