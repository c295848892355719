import { fileURLToPath } from 'node:url'
import { connection, fairlead, subscription, topic } from 'fairlead'
import { sqlite } from 'fairlead/sqlite'
import * as z from 'zod'

const Charge = z.object({ order: z.string() })
const Charged = z.object({ id: z.string() })

/** The three kinds of operation that may change something. */
export const ways = ['keyed', 'verified', 'neither'] as const
export type Way = (typeof ways)[number]
export type Order = { readonly order: string; readonly way: Way }

export const orders = topic<Order>('orders', { id: (o) => o.order })

/** What charges, over a bank on this port whose answers often do not arrive. */
export function charging(port: number) {
  const bank = connection('bank', {
    baseUrl: `http://127.0.0.1:${port}`,
    timeout: '2s',
    // Faults are the normal case here: nothing is to give up because of how many there are.
    retry: { attempts: 2, first: '5ms', max: '20ms', budget: 'none' },
    breaker: { failures: 'off', consecutive: 10_000, rate: 'off' },
    bulkhead: { concurrent: 50, waiting: 500 },
    operations: {
      keyed: { http: 'POST /charges?way=keyed', input: Charge, output: Charged, idempotent: 'key' },
      verified: {
        http: 'POST /charges?way=verified',
        input: Charge,
        output: Charged,
        verify: { call: 'find', input: (c) => c, found: (page) => page.items[0] },
      },
      neither: { http: 'POST /charges?way=neither', input: Charge, output: Charged },
      find: { http: 'GET /charges', input: Charge, output: z.object({ items: z.array(Charged) }) },
    },
  })
  const billing = subscription('billing', {
    to: orders,
    concurrency: 50,
    parkedLimit: 100_000,
    retry: { attempts: 100, first: '10ms', max: '100ms' },
    handle: ({ order, way }, ctx) => ctx.call(bank[way], { order }),
  })
  return [bank, orders, billing]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , path, port] = process.argv
  const log = { write: () => {} }
  await using app = await fairlead({ store: sqlite(path!), use: charging(Number(port)), log })
  await app.run()
}
