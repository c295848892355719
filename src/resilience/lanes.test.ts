import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { divide, emptyLane, leave, partOf, type Lane, type Situation } from './lanes.ts'

const situation: Situation = {
  me: 'a',
  count: 100,
  want: 0,
  used: 0,
  uses: undefined,
  alive: () => true,
  over: () => false,
  turn: false,
  may: true,
  now: 0,
}

function owned(lane: Lane): number {
  return Object.values(lane.members).reduce((n, m) => n + m.held, 0) + lane.debts.reduce((n, debt) => n + debt.count, 0)
}

test('whatever processes want, die, leave and come back: slots are never created, and none gives up one that is in use', () => {
  const act = fc.record({
    who: fc.integer({ min: 0, max: 5 }),
    want: fc.nat(150),
    used: fc.nat(150),
    what: fc.constantFrom('divide', 'divide', 'divide', 'die', 'leave'),
    may: fc.boolean(),
    turn: fc.boolean(),
    over: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 120 }), fc.array(act, { maxLength: 60 }), (count, acts) => {
      let lane = emptyLane
      const dead = new Set<string>()
      for (const { who, want, used: wished, what, may, turn, over } of acts) {
        const me = `p${who}`
        const held = lane.members[me]?.held ?? 0
        const used = Math.min(wished, held)
        if (what === 'die') dead.add(me)
        else if (what === 'leave') lane = leave(lane, me, used > 0 ? [{ count: used, at: 0, by: me }] : [])
        else {
          dead.delete(me)
          const s = { ...situation, me, count, want, used, may, turn }
          const d = divide(lane, { ...s, alive: (id) => !dead.has(id), over: () => over })
          lane = d.lane
          assert.ok(d.held >= used, 'a slot in use was given up')
          assert.ok(d.share <= d.held)
          assert.ok(may || d.held <= held)
        }
        assert.ok(owned(lane) <= count, `${owned(lane)} of ${count}`)
        assert.ok(Object.values(lane.members).reduce((n, m) => n + m.fair, 0) <= count)
      }
    }),
  )
})

test('the parts of all are the whole where the wants exceed it; nobody gets more than it wants, and none less than another that wants as much, but for one', () => {
  fc.assert(
    fc.property(
      fc.nat(200),
      fc.array(fc.nat(100), { minLength: 1, maxLength: 9 }),
      fc.nat(20),
      (slots, wanted, turn) => {
        const wants = wanted.map((want, i) => [`p${i}`, want] as const)
        const parts = wants.map(([id]) => partOf(id, slots, wants, turn))
        const total = wanted.reduce((a, b) => a + b, 0)
        assert.equal(
          parts.reduce((a, b) => a + b, 0),
          Math.min(slots, total),
        )
        for (const [i, part] of parts.entries()) {
          assert.ok(part <= wanted[i]!)
          for (const [j, other] of parts.entries()) if (wanted[i]! >= wanted[j]!) assert.ok(part >= other - 1)
        }
      },
    ),
  )
})

test('fewer slots than processes go round: each has its turn', () => {
  const wants = ['a', 'b', 'c', 'd', 'e'].map((id) => [id, 3] as const)
  const had = new Set<string>()
  for (let turn = 0; turn < 5; turn++) for (const [id] of wants) if (partOf(id, 2, wants, turn) > 0) had.add(id)
  assert.equal(had.size, 5)
})

test('of a process that died what it had noted is over with its time, what else it held only a window after its death was seen', () => {
  const lane: Lane = {
    turn: 0,
    members: {
      gone: {
        held: 10,
        fair: 50,
        want: 10,
        uses: [
          [4, 1_000],
          [3, 5_000],
        ],
      },
    },
    debts: [],
  }
  const over = (debt: { readonly at: number }): boolean => debt.at < 2_000
  const d = divide(lane, { ...situation, want: 100, alive: (id) => id === 'a', over, now: 9_000 })
  assert.deepEqual(d.lane.debts, [
    { count: 3, at: 5_000, by: 'gone' },
    { count: 7, at: 9_000, by: 'gone' },
  ])
  assert.equal(d.held, 90)
})
