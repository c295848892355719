import { describe, it, type TestContext } from 'node:test'
import { dedupeCases } from './conformance/dedupe.ts'
import { keyCases } from './conformance/keys.ts'
import { lifeCases } from './conformance/life.ts'
import { logCases } from './conformance/log.ts'
import { parkingCases } from './conformance/parking.ts'
import { recordCases } from './conformance/records.ts'
import { subscriptionCases } from './conformance/subscriptions.ts'
import { transactionCases } from './conformance/transactions.ts'
import type { Case, Subject, SuiteClock } from './conformance/trial.ts'
import { unitCases } from './conformance/units.ts'
import type { Store } from './port.ts'

const cases: readonly Case[] = [
  ...logCases,
  ...dedupeCases,
  ...unitCases,
  ...subscriptionCases,
  ...parkingCases,
  ...keyCases,
  ...recordCases,
  ...transactionCases,
  ...lifeCases,
]

/** Why a case is skipped: what the adapter cannot do is a fact about it, not a failure. */
const reasons = {
  reopen: 'nothing in this store survives closing it',
  second: 'no other process can open this store',
} as const

/**
 * The law of the store port: registers one test for each case, with its id, under `name`. An adapter obeys the port when
 * all of them pass; a case is skipped only where the subject has no `reopen` or no `second`.
 *
 * `open` gives each case a store on data of its own; the store must run on `clock`, which the cases move.
 *
 * @example
 * storeConformance('sqlite in memory', async () => {
 *   const store = await sqlite(':memory:').open(runtime)
 *   return { store, close: () => store[Symbol.asyncDispose]() }
 * }, clock)
 */
export function storeConformance(name: string, open: () => Promise<Subject>, clock: SuiteClock): void {
  describe(name, () => {
    for (const c of cases) it(c.name, (t) => run(c, t, open, clock))
  })
}

async function run(c: Case, t: TestContext, open: () => Promise<Subject>, clock: SuiteClock): Promise<void> {
  const subject = await open()
  try {
    if (c.needs !== undefined && subject[c.needs] === undefined) return t.skip(reasons[c.needs])
    await c.run({ clock, store: subject.store, reopen: able(subject.reopen), second: able(subject.second) })
  } finally {
    await subject.close()
  }
}

function able(open: (() => Promise<Store>) | undefined): () => Promise<Store> {
  return open ?? (() => Promise.reject(new Error('a case uses what it does not say it needs')))
}
