import assert from 'node:assert/strict'
import { test } from 'node:test'
import { record } from './recorder.ts'

type Item = { price: number; qty: number; sku: string; main: boolean; tags: string[] }
type Order = {
  id: string
  total: number
  name: string
  at: string
  json: string
  status: string
  customer: { email: string; vip?: { level: number } }
  items: Item[]
  box: { length: number }
  next?: Order
}
const sources = (arrow: (o: Order) => unknown): string => {
  const { sources, complete } = record(arrow)
  return `${sources.join(' ')}${complete ? '' : ' ?'}`
}

test('records reads of fields, nested, indexed and destructured', () => {
  assert.equal(
    sources((o) => o.customer.email),
    'customer.email',
  )
  assert.equal(
    sources((o) => `ORD-${o.id}`),
    'id',
  )
  assert.equal(
    sources((o) => Math.round(o.total * 100)),
    'total',
  )
  assert.equal(
    sources((o) => o.items[0]?.sku),
    'items[0].sku',
  )
  assert.equal(
    sources(({ customer: { email }, id }) => [email, id]),
    'customer.email id',
  )
  assert.equal(
    sources((o) => ({ a: o.id, b: { c: o.name } })),
    'id name',
  )
  assert.equal(
    sources((o) => o.customer.vip?.level ?? o.total),
    'customer.vip.level',
  )
  assert.equal(
    sources((o) => o.customer),
    'customer',
  )
  assert.equal(
    sources(() => 42),
    '',
  )
})

test('records what methods are called on, and what callbacks read of elements', () => {
  assert.equal(
    sources((o) => o.name.trim().toUpperCase().split(' ')[0]),
    'name',
  )
  assert.equal(
    sources((o) => o.items.map((i) => i.price * i.qty).reduce((a, b) => a + b, 0)),
    'items[].price items[].qty',
  )
  assert.equal(
    sources((o) => o.items.reduce((sum, i) => sum + i.price, 0)),
    'items[].price',
  )
  assert.equal(
    sources((o) =>
      o.items
        .filter((i) => i.main)
        .map((i) => i.sku)
        .join(','),
    ),
    'items[].main items[].sku',
  )
  assert.equal(
    sources((o) => o.items.find((i) => i.main)?.sku),
    'items[].main items[].sku',
  )
  assert.equal(
    sources((o) => o.items.flatMap((i) => i.tags)),
    'items[].tags',
  )
  assert.equal(
    sources((o) => {
      let n = 0
      for (const i of o.items) n += i.qty
      return n
    }),
    'items[].qty',
  )
  assert.equal(
    sources((o) => o.items.length),
    'items',
  )
  assert.equal(
    sources((o) => new Date(o.at).toISOString()),
    'at',
  )
  assert.equal(
    sources((o) => JSON.parse(o.json) as unknown),
    'json',
  )
  assert.equal(
    sources((o) => o.items.some((i) => i.main) && o.id),
    'items[].main id',
  )
})

test('says when the whole record is used', () => {
  assert.equal(
    sources((o) => o),
    '*',
  )
  assert.equal(
    sources((o) => ({ ...o })),
    '*',
  )
  assert.equal(
    sources((o) => Object.keys(o).length),
    '*',
  )
})

test('is honest about arrows that it cannot follow to the end', () => {
  assert.equal(
    sources(() => {
      throw new Error('no')
    }),
    ' ?',
  )
  assert.equal(
    sources((o) => {
      if (o.status) throw new Error('no')
      return o.id
    }),
    'status ?',
  )
  assert.equal(
    sources((o) => structuredClone(o.customer)),
    'customer ?',
  )
  assert.equal(
    sources((o) => {
      let at: Order | undefined = o
      while (at?.next) at = at.next
      return at?.id
    }).endsWith(' ?'),
    true,
  )
  assert.equal(
    sources((o) => {
      ;(o as { id: string }).id = 'x'
      return o.id
    }),
    ' ?',
  )
  assert.equal(
    sources((o) => (o.id === 'a' ? o.name : o.at)),
    'id at',
    'one branch of a condition: a documented limit',
  )
})
