import { z } from 'zod'
import { bearer, connection, secret } from 'fairlead'

const NewCharge = z.object({ order: z.string(), amount: z.number() })
const Charge = z.object({ id: z.string(), amount: z.number(), status: z.enum(['paid', 'failed']) })
const Which = z.object({ id: z.string() })
const Query = z.object({ order: z.string().optional(), since: z.string().optional() })
const Page = z.object({ items: z.array(Charge), next: z.string().optional() })

export const payments = connection('payments', {
  baseUrl: 'https://api.payments.test',
  auth: bearer(secret('PAYMENTS_KEY')),
  timeout: '10s',
  retry: { attempts: 4, first: '200ms', max: '5s' },
  breaker: { failures: 5, within: '60s', openFor: '30s' },
  limit: ['50/s', '100000/day'],
  operations: {
    charge: {
      http: 'POST /charges',
      input: NewCharge,
      output: Charge,
      idempotent: 'key',
      verify: {
        call: 'list',
        input: (c) => ({ order: c.order }),
        found: (page, c) => page.items.find((x) => x.amount === c.amount),
      },
    },
    refund: { http: 'POST /charges/:id/refunds', input: Which, output: Charge, idempotent: 'key' },
    list: { http: 'GET /charges', input: Query, pages: 'cursor', output: Page },
  },
})
