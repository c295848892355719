import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Ring } from './ring.ts'

test('counts what a list of all events would count, bucket by bucket', () => {
  const step = fc.record({
    wait: fc.oneof(fc.nat(30), fc.nat(300), fc.nat(5_000)),
    marked: fc.constantFrom<(0 | 1)[]>(0, 1),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), fc.integer({ min: 1, max: 60 }), (steps, buckets) => {
      const width = 20
      const ring = new Ring(width * buckets, buckets)
      const all: { bucket: number; marked: number }[] = []
      let now = 0
      for (const { wait, marked } of steps) {
        now += wait
        ring.add(now, marked)
        const bucket = Math.floor(now / width)
        all.push({ bucket, marked })
        const recent = all.filter((e) => e.bucket > bucket - buckets)
        assert.equal(ring.total, recent.length)
        assert.equal(ring.marked, recent.filter((e) => e.marked).length)
      }
    }),
  )
})

test('forgets everything after a whole window without events', () => {
  const ring = new Ring(1_000, 10)
  ring.add(5, 1)
  ring.turn(904)
  assert.equal(ring.marked, 1)
  ring.turn(1_004)
  assert.equal(ring.marked, 0)
  assert.equal(ring.total, 0)
})

test('marks a retry of a call without counting the call again', () => {
  const ring = new Ring(1_000, 10)
  ring.add(0, 0)
  ring.mark(150)
  assert.deepEqual([ring.total, ring.marked], [1, 1])
  ring.turn(1_000)
  assert.deepEqual([ring.total, ring.marked], [0, 1])
})
