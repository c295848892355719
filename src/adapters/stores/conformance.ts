import { describe, it } from 'node:test'
import { dedupeCases } from './conformance/dedupe.ts'
import { keyCases } from './conformance/keys.ts'
import { lifeCases } from './conformance/life.ts'
import { logCases } from './conformance/log.ts'
import { parkingCases } from './conformance/parking.ts'
import { recordCases } from './conformance/records.ts'
import { subscriptionCases } from './conformance/subscriptions.ts'
import { transactionCases } from './conformance/transactions.ts'
import type { Case, Need, Subject, SuiteClock } from './conformance/trial.ts'
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

/**
 * The law of the store port: registers one test for each case, with its id, under `name`. An adapter obeys the port when
 * all of them pass.
 *
 * `open` gives each case a store on data of its own; the store must run on `clock`, which the cases move. `lacks`, what a
 * store has not by its nature, as its `can` says: `reopen`, nothing survives closing it; `second`, no other process can open
 * it; `one writer`, commits do not wait for somebody's transaction. The cases that need it have no meaning there.
 *
 * @example
 * storeConformance('sqlite in memory', async () => {
 *   const store = await sqlite(':memory:').open(runtime)
 *   return { store, close: () => store[Symbol.asyncDispose]() }
 * }, clock, ['reopen', 'second'])
 */
export function storeConformance(
  name: string,
  open: () => Promise<Subject>,
  clock: SuiteClock,
  lacks: readonly Need[] = [],
): void {
  describe(name, () => {
    for (const c of cases) if (c.needs === undefined || !lacks.includes(c.needs)) it(c.name, () => run(c, open, clock))
  })
}

async function run(c: Case, open: () => Promise<Subject>, clock: SuiteClock): Promise<void> {
  const subject = await open()
  try {
    await c.run({
      clock,
      store: subject.store,
      reopen: able(subject.reopen),
      second: able(subject.second),
      until: (holds) => until(holds, clock),
    })
  } finally {
    await subject.close()
  }
}

function able(open: (() => Promise<Store>) | undefined): () => Promise<Store> {
  return open ?? (() => Promise.reject(new Error('a case uses what it does not say it needs')))
}

/** A look every 10 ms of the clock and every 2 ms of real time: nothing is measured, answers only need a chance to come. */
async function until(holds: () => boolean, clock: SuiteClock): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) {
    await clock.advance(10)
    if (!holds()) await new Promise<void>((resolve) => setTimeout(resolve, 2))
  }
}
