import { refuse, type Api, type Ledger } from './api.ts'

/** Article numbers beginning so are in nobody's catalogue. */
export const unknownSku = 'XX-'

type Entry = { readonly id: string; readonly order: string }

/**
 * The warehouse: an older API without idempotency keys. Whoever POSTs twice has booked twice, and the ledger will show it.
 * What it offers instead is a list by order: look before you repeat.
 *
 * `POST /reservations`, `GET /reservations?order=`, `POST /shipments`, `GET /shipments?order=`
 */
export function warehouse(ledger: Ledger): Api {
  const books = { reservations: [] as Entry[], shipments: [] as Entry[] }
  return {
    name: 'warehouse',
    // It cannot absorb anything: that is the point of it.
    absorbed: () => 0,
    answer({ method, path, query, body }) {
      const book = path === '/reservations' ? 'reservations' : path === '/shipments' ? 'shipments' : undefined
      if (!book) return refuse(404, 'unknown_path', path)
      if (method === 'GET') {
        return { status: 200, body: { items: books[book].filter((e) => e.order === query.get('order')) } }
      }
      if (method !== 'POST') return refuse(405, 'method', method)
      const { order, lines } = body
      if (typeof order !== 'string') return refuse(422, 'order_missing', 'which order?')
      const unknown = skus(lines).find((sku) => sku.startsWith(unknownSku))
      if (unknown) return refuse(422, 'unknown_sku', `no such article: ${unknown}`)
      const entry: Entry = { id: `${book.slice(0, 3)}-${books[book].length + 1}`, order }
      books[book].push(entry)
      ledger.write({ api: 'warehouse', effect: book === 'reservations' ? 'reservation' : 'shipment', key: order })
      return { status: 201, body: entry }
    },
  }
}

function skus(lines: unknown): string[] {
  if (!Array.isArray(lines)) return []
  return lines.flatMap((line: unknown) => {
    const sku = (line as { sku?: unknown } | null)?.sku
    return typeof sku === 'string' ? [sku] : []
  })
}
