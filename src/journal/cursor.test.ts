import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Parked, Write } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import { seededRandom } from '#testing/random.ts'
import { settle } from '#testing/clock.ts'
import { Cursor } from './cursor.ts'

const size = 64

function parked(offset: number): Parked {
  return {
    subscription: 1,
    partition: 0,
    offset,
    key: null,
    id: `${offset}`,
    time: 0,
    meta: null,
    body: '',
    state: 'retry',
    attempts: 1,
    due: 0,
    since: 0,
    faults: null,
    heldBy: null,
  }
}

/** A cursor whose commits the test ends, one by one. */
function world() {
  const commits: { readonly writes: readonly Write[]; resolve(): void; reject(e: unknown): void }[] = []
  const landed: number[] = []
  const troubles: unknown[] = []
  const cursor = new Cursor(
    {
      subscription: 1,
      partition: 0,
      commit: (writes) =>
        new Promise<void>((resolve, reject) => commits.push({ writes, resolve: () => resolve(), reject })),
      soon: (fn) => queueMicrotask(fn),
      parked: (messages) => landed.push(...messages.map((m) => m.offset)),
      trouble: (e) => troubles.push(e),
    },
    size,
    { low: 0, done: null },
  )
  return { cursor, commits, landed, troubles }
}

/** Offsets that a save says are done, below `to`. */
function doneIn(writes: readonly Write[], to: number): number[] {
  const advance = writes.find((w) => w.write === 'advance')!
  return Array.from({ length: to }, (_, o) => o).filter((o) => {
    const bit = o - advance.low
    return bit < 0 || (advance.done !== null && ((advance.done[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0)
  })
}

test('one save is under way at a time, and the next carries everything that ended meanwhile', async () => {
  const { cursor, commits } = world()
  cursor.finish(0)
  cursor.finish(2)
  await settle()
  assert.equal(commits.length, 1)
  assert.deepEqual(doneIn(commits[0]!.writes, 8), [0, 2])
  cursor.finish(1)
  cursor.finish(5)
  await settle()
  assert.equal(commits.length, 1)
  commits[0]!.resolve()
  await settle()
  assert.deepEqual(doneIn(commits[1]!.writes, 8), [0, 1, 2, 5])
  commits[1]!.resolve()
  await settle()
  assert.equal(commits.length, 2)
})

test('a parked message and the cursor beyond it are one commit; it is done here when that has landed', async () => {
  const { cursor, commits, landed } = world()
  cursor.finish(1)
  cursor.park(parked(0))
  await settle()
  assert.deepEqual(
    commits[0]!.writes.map((w) => w.write),
    ['park', 'advance'],
  )
  assert.deepEqual(doneIn(commits[0]!.writes, 4), [0, 1])
  assert.equal(cursor.low, 0)
  assert.deepEqual(landed, [])
  commits[0]!.resolve()
  await settle()
  assert.equal(cursor.low, 2)
  assert.deepEqual(landed, [0])
})

test('after a failed save nothing more is saved, and the owner is told once', async () => {
  const { cursor, commits, troubles } = world()
  const broken = fault('store.broken')
  cursor.finish(0)
  await settle()
  cursor.park(parked(1))
  commits[0]!.reject(broken)
  await settle()
  cursor.finish(2)
  await settle()
  assert.equal(commits.length, 1)
  assert.deepEqual(troubles, [broken])
  await cursor.settled()
})

test('settled waits for what ended before it, and for nothing after the cursor was abandoned', async () => {
  const { cursor, commits } = world()
  await cursor.settled()
  let settled = 0
  cursor.finish(0)
  await settle()
  cursor.finish(1)
  void cursor.settled().then(() => settled++)
  commits[0]!.resolve()
  await settle()
  assert.equal(settled, 0)
  commits[1]!.resolve()
  await settle()
  assert.equal(settled, 1)
  cursor.finish(2)
  await settle()
  cursor.finish(3)
  cursor.abandon()
  void cursor.settled().then(() => settled++)
  commits[2]!.resolve()
  await settle()
  assert.equal(settled, 2)
  assert.equal(commits.length, 3)
})

test('no save ever passes a message that was neither finished nor parked', async () => {
  const action = fc.record({ what: fc.constantFrom('finish', 'park', 'end'), pick: fc.nat() })
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), fc.nat(), fc.boolean(), async (actions, seed, fails) => {
      const { cursor, commits } = world()
      const random = seededRandom(seed)
      const left = Array.from({ length: size }, (_, o) => o)
      const finished = new Set<number>()
      const inStore = new Set<number>()
      let checked = 0
      const check = (): void => {
        for (; checked < commits.length; checked++) {
          for (const w of commits[checked]!.writes) if (w.write === 'park') inStore.add(w.parked.offset)
          for (const o of doneIn(commits[checked]!.writes, size)) assert.ok(finished.has(o) || inStore.has(o), `${o}`)
        }
      }
      let ended = 0
      for (const { what, pick } of actions) {
        if (what === 'end') {
          if (ended < commits.length) {
            if (fails && random.float() < 0.1) commits[ended++]!.reject(fault('store.broken'))
            else commits[ended++]!.resolve()
          }
        } else {
          const [offset] = left.splice(pick % left.length, 1)
          if (what === 'park') cursor.park(parked(offset!))
          else {
            finished.add(offset!)
            cursor.finish(offset!)
          }
        }
        if (random.float() < 0.5) await settle()
        check()
      }
      await settle()
      check()
    }),
    { numRuns: 60 },
  )
})
