import assert from 'node:assert/strict'
import { test } from 'node:test'
import { audit, type EffectRow, type Evidence, type Verdict } from './audit.ts'
import type { Entry } from './client.ts'

/** Two facts of a key, one that nobody wants; all is well with them. */
function evidence(): { entries: Entry[]; rows: EffectRow[]; charges: Map<string, string>; parked: Evidence['parked'] } {
  const entry = (u: string, offset: number, manner: 'ok' | 'dead' = 'ok'): Entry => ({
    fact: { u, key: manner === 'dead' ? null : 'k', manner },
    at: [0, offset],
    accepted: true,
    attempts: 1,
  })
  const row = (sub: string, u: string): EffectRow => ({ sub, u, pid: 1 })
  return {
    entries: [entry('a', 0), entry('b', 1), entry('c', 2, 'dead')],
    rows: ['a', 'b'].flatMap((u) => ['rows', 'calls', 'follow'].map((sub) => row(sub, u))),
    charges: new Map([
      ['key a', 'a'],
      ['key b', 'b'],
    ]),
    parked: ['rows', 'calls'].map((subscription) => ({ subscription, u: 'c', state: 'dead' })),
  }
}

const none: Verdict = { lost: [], doubled: [], disordered: [], strange: [] }

/** Which columns of the verdict are not empty once `wrong` has been done to evidence that was in order. */
function found(wrong: (of: ReturnType<typeof evidence>) => void): string[] {
  const of = evidence()
  wrong(of)
  return Object.entries(audit(of)).flatMap(([name, list]) => (list.length > 0 ? [name] : []))
}

test('finds nothing where everything accepted has happened once, in order', () => {
  assert.deepEqual(audit(evidence()), none)
})

test('what nobody confirmed may have happened or not', () => {
  const of = evidence()
  const unknown = of.entries.map((e) => ({ ...e, accepted: false, at: undefined }))
  assert.deepEqual(audit({ ...of, entries: unknown }), none)
  assert.deepEqual(audit({ entries: unknown, rows: [], charges: new Map(), parked: [] }), none)
})

test('finds what is lost: a row, a dead message', () => {
  assert.deepEqual(
    found((of) => of.rows.pop()),
    ['lost'],
  )
  assert.deepEqual(
    found((of) => (of.parked = of.parked.slice(1))),
    ['lost'],
  )
})

test('finds a double effect: a second row, a charge under another key', () => {
  assert.deepEqual(
    found((of) => of.rows.push(of.rows.at(-1)!)),
    ['doubled'],
  )
  assert.deepEqual(
    found((of) => of.charges.set('key b again', 'b')),
    ['doubled'],
  )
})

test('finds that a key was handled out of order', () => {
  assert.deepEqual(
    found((of) => of.rows.reverse()),
    ['disordered'],
  )
})

test('finds what nobody can explain', () => {
  const strange: readonly ((of: ReturnType<typeof evidence>) => unknown)[] = [
    (of) => of.rows.push({ sub: 'rows', u: 'stranger', pid: 1 }),
    (of) => of.rows.push({ sub: 'rows', u: 'c', pid: 1 }),
    (of) => of.charges.delete('key a'),
    (of) => (of.parked = [...of.parked, { subscription: 'rows', u: 'a', state: 'retry' }]),
    (of) => (of.parked = [...of.parked, { subscription: 'follow', u: 'a', state: 'dead' }]),
    (of) => (of.entries[1] = { ...of.entries[1]!, at: [0, 0] }),
  ]
  for (const wrong of strange)
    assert.deepEqual(
      found((of) => void wrong(of)),
      ['strange'],
    )
})
