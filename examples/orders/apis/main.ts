// The second process of the example: other people's APIs, as they are on a bad day.
import { setTimeout as wait } from 'node:timers/promises'
import { serveParent } from '../child.ts'
import type { Ledger } from './api.ts'
import { crm } from './crm.ts'
import { fileLedger } from './ledger.ts'
import { payments } from './payments.ts'
import { ApiServer, type ApiStats, type Weather } from './server.ts'
import { warehouse } from './warehouse.ts'

export type ApisReady = { readonly payments: string; readonly crm: string; readonly warehouse: string }
export type ApisStats = {
  readonly weather: Weather
  /** Lines in the ledger so far. */
  readonly effects: number
  readonly apis: Readonly<Record<keyof ApisReady, ApiStats>>
}

const env = (name: string): string => {
  const value = process.env[name]
  if (value === undefined) throw new Error(`the stand-in needs ${name}; it is started by main.ts`)
  return value
}

const file = fileLedger(env('LEDGER'))
let effects = 0
const ledger: Ledger = {
  write(effect) {
    file.write(effect)
    effects++
  },
}
const options = { seed: Number(env('SEED')), credential: env('API_KEY') }
const servers = {
  payments: new ApiServer(payments(ledger), options),
  crm: new ApiServer(crm(ledger), options),
  warehouse: new ApiServer(warehouse(ledger), options),
}
let weather: Weather = 'up'

async function turn(next: Weather): Promise<void> {
  weather = next
  await Promise.all(Object.values(servers).map((server) => server.weather(next)))
}

/** Nothing listens in the first half; in the second, connections are taken and reset. */
async function outage(ms: number): Promise<void> {
  await turn('refusing')
  await wait(ms / 2)
  await turn('resetting')
  await wait(ms / 2)
  await turn('up')
}

serveParent({
  ready: async (): Promise<ApisReady> => ({
    payments: await servers.payments.listen(),
    crm: await servers.crm.listen(),
    warehouse: await servers.warehouse.listen(),
  }),
  answers: {
    outage: (ms) => outage(Number(ms)),
    stats: (): ApisStats => ({
      weather,
      effects,
      apis: {
        payments: servers.payments.stats(),
        crm: servers.crm.stats(),
        warehouse: servers.warehouse.stats(),
      },
    }),
  },
  stop: async () => {
    await Promise.all(Object.values(servers).map((server) => server.close()))
  },
})
