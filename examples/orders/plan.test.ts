import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { plan, type Manner, type Planned } from './plan.ts'

const options = { seed: 1, messages: 400, spread: 40_000 }
const print = (p: Planned): string =>
  [p.at, p.provider, p.type, p.id, p.manner, p.lane, createHash('sha256').update(p.body).digest('hex')].join(' ')

test('the same seed plans the same requests byte for byte, another seed others', () => {
  assert.deepEqual(plan(options).map(print), plan(options).map(print))
  assert.notDeepEqual(plan(options).map(print), plan({ ...options, seed: 2 }).map(print))
})

test('there are exactly as many different correct events as asked, each with its own id', () => {
  for (const messages of [1, 50, 400, 2_000]) {
    const first = plan({ ...options, messages }).filter((p) => p.manner === 'first')
    assert.equal(first.length, messages)
    assert.equal(new Set(first.map((p) => `${p.provider} ${p.id}`)).size, messages)
  }
})

test('every manner of sending occurs, in order of time and within the spread', () => {
  const all = plan(options)
  const manners: Manner[] = [
    ...(['first', 'again', 'wrong-secret', 'flipped-byte', 'unsigned', 'stale'] as const),
    ...(['truncated', 'not-utf8', 'prototype', 'unknown-path'] as const),
  ]
  const seen = new Set(
    Array.from({ length: 20 }, (_, seed) => plan({ ...options, seed })).flatMap((p) => p.map((r) => r.manner)),
  )
  assert.deepEqual([...seen].sort(), [...manners, 'oversized'].sort())
  assert.ok(all.every((p, i) => p.at >= (all[i - 1]?.at ?? 0)))
  assert.ok(all.filter((p) => p.manner === 'first').every((p) => p.at <= options.spread))
})

test('what is sent again has a first with the same bytes', () => {
  const all = plan(options)
  const first = new Map(all.filter((p) => p.manner === 'first').map((p) => [`${p.provider} ${p.id}`, p]))
  for (const p of all.filter((p) => p.manner === 'again'))
    assert.equal(first.get(`${p.provider} ${p.id}`)?.body, p.body)
})

test('some refunds are sent before the payment of their order', () => {
  const order = (p: Planned): string =>
    (JSON.parse(Buffer.from(p.body).toString()) as { data: { object: { metadata: { order_id: string } } } }).data.object
      .metadata.order_id
  const first = plan(options).filter((p) => p.manner === 'first')
  const paid = new Map(first.filter((p) => p.type === 'payment_intent.succeeded').map((p) => [order(p), p.at]))
  const refunds = first.filter((p) => p.type === 'charge.refunded')
  assert.ok(refunds.some((p) => p.at < (paid.get(order(p)) ?? 0)))
  assert.ok(refunds.every((p) => paid.has(order(p))))
})
