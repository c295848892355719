import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Stored } from '#adapters/stores/port.ts'
import { KeyQueues, Window } from './window.ts'

const size = 16

/** What a window is: a set of finished offsets, and a mark below which all are. */
class Model {
  readonly done: Set<number>
  low: number

  constructor(low: number, done: readonly number[] = []) {
    this.low = low
    this.done = new Set(done)
    this.settle()
  }

  finish(offset: number): void {
    if (offset >= this.low) this.done.add(offset)
    this.settle()
  }

  settle(): void {
    while (this.done.delete(this.low)) this.low++
  }
}

type Step = { readonly what: 'finish' | 'skip' | 'save'; readonly at: number; readonly length: number }
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom('finish', 'finish', 'finish', 'skip', 'save'),
  at: fc.integer({ min: 0, max: size - 1 }),
  length: fc.integer({ min: 0, max: size }),
})

test('a window knows what is done as a set would, however it ends and is saved in between', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000 }), fc.array(step, { maxLength: 120 }), (low, steps) => {
      let window = new Window(size, low, null)
      const model = new Model(low)
      for (const { what, at, length } of steps) {
        const offset = model.low + at
        if (what === 'finish') {
          window.finish(offset)
          model.finish(offset)
        } else if (what === 'skip') {
          const to = Math.min(offset + length, window.end)
          window.skip(offset, to)
          for (let o = offset; o < to; o++) model.finish(o)
        } else {
          const { low: mark, done } = window.snapshot()
          window = new Window(size, mark, done)
        }
        assert.equal(window.low, model.low)
        assert.equal(window.end, model.low + size)
        for (let o = Math.max(0, model.low - 2); o < model.low + size; o++)
          assert.equal(window.isDone(o), o < model.low || model.done.has(o), `offset ${o}`)
      }
    }),
  )
})

test('a snapshot with more than is done says so, and changes nothing', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: size - 1 })),
      fc.uniqueArray(fc.integer({ min: 0, max: size - 1 })),
      (done, also) => {
        const window = new Window(size, 5, null)
        for (const o of done) window.finish(5 + o)
        const before = window.snapshot()
        const saved = window.snapshot(also.map((o) => window.low + o).filter((o) => o < window.end))
        const model = new Model(
          5,
          done.map((o) => 5 + o),
        )
        for (const o of also) if (window.low + o < window.end) model.finish(window.low + o)
        const again = new Window(size, saved.low, saved.done)
        assert.equal(again.low, model.low)
        for (let o = model.low; o < model.low + size; o++) assert.equal(again.isDone(o), model.done.has(o))
        assert.deepEqual(window.snapshot(), before)
      },
    ),
  )
})

test('a gap of a thousand million offsets is passed in one step when nothing below is unfinished', () => {
  const window = new Window(size, 0, null)
  window.finish(2)
  window.skip(0, 1e9)
  assert.equal(window.low, 1e9)
  assert.deepEqual(window.snapshot(), { low: 1e9, done: null })
})

const message = (offset: number, key: string | null): Stored => ({
  offset,
  key,
  time: 0,
  id: `${offset}`,
  meta: null,
  body: '',
})

test('of a key one message runs at a time, in the order in which they came; a failure drains what waits', () => {
  const event = fc.record({
    what: fc.constantFrom('enter', 'enter', 'leave', 'drain'),
    key: fc.constantFrom('a', 'b', null),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 100 }), (events) => {
      const queues = new KeyQueues()
      const lines = new Map<string, number[]>()
      events.forEach(({ what, key }, offset) => {
        const line = key === null ? undefined : lines.get(key)
        if (what === 'enter') {
          assert.equal(queues.enter(key, message(offset, key)), line === undefined)
          if (key !== null) lines.set(key, [...(line ?? []), offset])
        } else if (what === 'leave' && (line !== undefined || key === null)) {
          // The first of the line has ended, the second may start.
          assert.equal(queues.leave(key)?.offset, line?.[1])
          if (line && key !== null) {
            if (line.length > 1) lines.set(key, line.slice(1))
            else lines.delete(key)
          }
        } else if (what === 'drain') {
          assert.deepEqual(
            queues.drain(key).map((m) => m.offset),
            line?.slice(1) ?? [],
          )
          if (key !== null) lines.delete(key)
        }
      })
    }),
  )
})
