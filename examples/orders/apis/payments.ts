import { refuse, type Api, type ApiReply, type Ledger } from './api.ts'

type Transfer = {
  readonly id: string
  readonly order: string
  readonly amount: number
  readonly currency: string
  readonly reversed: boolean
}

/**
 * Payments, with idempotency keys as Stripe has them: the first answer of a key is kept and given again; a key that comes
 * with another request is refused. A new key is a new transfer, whatever it is for: that is what keys are for.
 *
 * `POST /v1/transfers`, `POST /v1/transfers/:id/reversals`, `GET /v1/transfers?order=`
 */
export function payments(ledger: Ledger): Api {
  const transfers = new Map<string, Transfer>()
  const answers = new Map<string, { readonly fingerprint: string; readonly reply: ApiReply }>()
  let absorbed = 0

  const transfer = (body: Record<string, unknown>): ApiReply => {
    const { order, amount, currency } = body
    if (typeof order !== 'string' || typeof amount !== 'number' || typeof currency !== 'string') {
      return refuse(400, 'parameter_missing', 'order, amount and currency are required')
    }
    const made: Transfer = { id: `tr_${transfers.size + 1}`, order, amount, currency, reversed: false }
    transfers.set(made.id, made)
    ledger.write({ api: 'payments', effect: 'transfer', key: order })
    return { status: 200, body: made }
  }

  const reverse = (id: string): ApiReply => {
    const found = transfers.get(id)
    if (!found) return refuse(404, 'resource_missing', `no such transfer: ${id}`)
    const reversed = { ...found, reversed: true }
    transfers.set(id, reversed)
    ledger.write({ api: 'payments', effect: 'reversal', key: found.order })
    return { status: 200, body: reversed }
  }

  return {
    name: 'payments',
    absorbed: () => absorbed,
    answer({ method, path, query, idempotencyKey, body }) {
      if (method === 'GET' && path === '/v1/transfers') {
        const data = [...transfers.values()].filter((t) => t.order === query.get('order'))
        return { status: 200, body: { data, has_more: false } }
      }
      const reversal = /^\/v1\/transfers\/([^/]+)\/reversals$/.exec(path)
      if (method !== 'POST' || (path !== '/v1/transfers' && !reversal)) return refuse(404, 'unknown_path', path)
      if (!idempotencyKey) return refuse(400, 'idempotency_key_missing', 'a transfer needs an Idempotency-Key')
      const fingerprint = `${path} ${JSON.stringify(body)}`
      const kept = answers.get(idempotencyKey)
      if (kept) {
        absorbed++
        return kept.fingerprint === fingerprint
          ? kept.reply
          : refuse(400, 'idempotency_error', 'this key came with another request before')
      }
      const reply = reversal ? reverse(reversal[1] ?? '') : transfer(body)
      answers.set(idempotencyKey, { fingerprint, reply })
      return reply
    },
  }
}
