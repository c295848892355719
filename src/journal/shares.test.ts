import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { shares } from './shares.ts'

type Plan = readonly (string | undefined)[]

const names = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 12 })
const size = fc.integer({ min: 1, max: 40 })

function plan(candidates: readonly string[], holders: Plan, subscription = 's'): Plan {
  return shares({ subscription, partitions: holders.length, candidates, holders })
}

const free = (partitions: number): Plan => Array.from({ length: partitions })

function loads(of: Plan, candidates: readonly string[]): number[] {
  return candidates.map((c) => of.filter((w) => w === c).length)
}

test('each partition has one owner, a candidate; loads differ by at most one; the order in which candidates are known does not matter', () => {
  fc.assert(
    fc.property(names, size, fc.infiniteStream(fc.nat()), (candidates, partitions, drawn) => {
      // Held by anybody: candidates, strangers, nobody.
      const possible = [...candidates, 'stranger', undefined]
      const holders = free(partitions).map(() => possible[Number(drawn.next().value) % possible.length])
      const owners = plan(candidates, holders)
      assert.equal(owners.length, partitions)
      for (const o of owners) assert.ok(o !== undefined && candidates.includes(o))
      const l = loads(owners, candidates)
      assert.ok(Math.max(...l) - Math.min(...l) <= 1)
      assert.deepEqual(plan(candidates.toReversed(), holders), owners)
      assert.deepEqual(plan(candidates, owners), owners, 'what is settled stays')
    }),
  )
})

test('without a candidate nobody is preferred', () => {
  assert.deepEqual(plan([], ['gone', undefined]), [undefined, undefined])
})

test('of a settled fleet, one that joins is given its share and nothing else moves', () => {
  fc.assert(
    fc.property(names, size, fc.uuid(), (before, partitions, joins) => {
      fc.pre(!before.includes(joins))
      const settled = plan(before, free(partitions))
      const after = plan([...before, joins], settled)
      const moved = after.filter((w, p) => w !== settled[p])
      assert.ok(moved.every((w) => w === joins))
      const most = Math.ceil(partitions / (before.length + 1))
      assert.ok(moved.length <= most && moved.length >= most - 1)
    }),
  )
})

test('of a settled fleet, one that leaves takes nothing with it but what it had', () => {
  fc.assert(
    fc.property(names, size, fc.nat(), (before, partitions, drawn) => {
      fc.pre(before.length > 1)
      const leaves = before[drawn % before.length]!
      const settled = plan(before, free(partitions))
      const left = settled.map((w) => (w === leaves ? undefined : w))
      const after = plan(
        before.filter((w) => w !== leaves),
        left,
      )
      for (const [p, w] of settled.entries()) if (w !== leaves) assert.equal(after[p], w)
    }),
  )
})

test('many subscriptions of one partition are spread, and one that joins takes its share of them', () => {
  const before = ['a', 'b', 'c'].map((n) => `worker-${n}`)
  const all = Array.from({ length: 1_000 }, (_, i) => `inbox-${i}`)
  const settled = all.map((s) => plan(before, free(1), s)[0])
  // 4 standard deviations of a binomial of 1,000 with 1/3.
  for (const n of loads(settled, before)) assert.ok(Math.abs(n - 1_000 / 3) < 60, `${n}`)
  const after = all.map((s, i) => plan([...before, 'worker-d'], [settled[i]], s)[0])
  const moved = after.filter((w, i) => w !== settled[i])
  assert.ok(moved.every((w) => w === 'worker-d'))
  assert.ok(Math.abs(moved.length - 250) < 55, `${moved.length}`)
})
