import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { apiKey } from '#patterns/connections/auth/api-key.ts'
import { connection } from '#patterns/connections/define.ts'
import { harness, reply } from '#testing/index.ts'

const payments = connection('payments', {
  baseUrl: 'https://api.payments.test/v1',
  auth: apiKey(secret('KEY'), { query: 'api_key' }),
  retry: false,
  operations: {
    charge: { http: 'POST /charges', input: z.object({ amount: z.number(), to: z.string() }), idempotent: 'key' },
    note: { http: 'POST /notes', input: z.object({ text: z.string() }) },
    list: { http: 'GET /shops/:shop/charges', input: z.object({ shop: z.string(), limit: z.number() }) },
  },
})

test('a call is compared with the last of its operation that went well', async () => {
  await using t = await harness({ use: [payments] })
  t.answer(payments.charge, { id: 'ch_1', status: 'paid' }, reply(422, { error: 'amount' }))
  t.answer(payments.list, { items: [] })
  await t.call(payments.charge, { amount: 990, to: 'a' })
  await t.call(payments.list, { shop: 's1', limit: 10 })
  await assert.rejects(t.call(payments.charge, { amount: -1, to: 'a' }))
  const { operations } = t.app
  const [failed] = await operations.calls({ outcome: 'failed' })
  const found = await operations.diffCalls(failed!.call)
  assert.equal(found.with.outcome, 'ok')
  assert.deepEqual(found.request, [{ path: 'body.amount', before: 990, after: -1 }])
  assert.deepEqual(found.response, [
    { path: 'outcome', before: 'ok', after: 'connection.rejected' },
    { path: 'status', before: 200, after: 422 },
    { path: 'body.id', before: 'ch_1' },
    { path: 'body.status', before: 'paid' },
    { path: 'body.error', after: 'amount' },
  ])
  const [list] = await operations.calls({ limit: 2 }).then((all) => all.filter((c) => c.operation === 'list'))
  await assert.rejects(operations.diffCalls(failed!.call, list!.call), (e) => isFault(e, 'journal.missing'))
  await assert.rejects(operations.diffCalls(list!.call), (e) => isFault(e, 'journal.missing'))
  await assert.rejects(operations.call(99_999), (e) => isFault(e, 'journal.missing'))
})

test('a call is sent again as it was, under its key, and the query without the credential', async () => {
  await using t = await harness({ use: [payments], secrets: { KEY: 'k-5f3759df' } })
  t.answer(payments.charge, reply(503), { id: 'ch_1' })
  t.answer(payments.list, { items: [] })
  await assert.rejects(t.call(payments.charge, { amount: 990, to: 'a' }))
  await t.call(payments.list, { shop: 's 1', limit: 10 })
  const { operations } = t.app
  const [list, charge] = await operations.calls()
  const resent = await operations.resend({ call: charge!.call, reason: 'they are back' })
  assert.equal(resent.outcome, 'ok')
  assert.equal(resent.record?.status, 200)
  assert.equal(resent.record?.correlation, charge!.id)
  assert.deepEqual(t.called(payments.charge), [
    { amount: 990, to: 'a', api_key: 'k-5f3759df' },
    { amount: 990, to: 'a', api_key: 'k-5f3759df' },
  ])
  const [first, second] = t.keys(payments.charge)
  assert.equal(first, second)
  await operations.resend({ call: list!.call })
  assert.deepEqual(t.called(payments.list)[1], { shop: 's 1', limit: '10', api_key: 'k-5f3759df' })
  const [, entry] = await operations.trail()
  assert.deepEqual([entry?.verb, entry?.subject], ['resend', `call/${charge!.call}`])
})

test('what may have its effect twice is sent again only when that is said', async () => {
  await using t = await harness({ use: [payments] })
  t.answer(payments.note, {})
  t.answer(payments.charge, {})
  await t.call(payments.note, { text: 'x' })
  await t.call(payments.charge, { amount: 1, to: 'a' })
  const { operations } = t.app
  const [charge, note] = await operations.calls()
  await assert.rejects(operations.resend({ call: note!.call }), (e) => isFault(e, 'call.settled'))
  await assert.rejects(operations.resend({ call: charge!.call, newKey: true }), (e) => isFault(e, 'call.settled'))
  assert.equal((await operations.resend({ call: note!.call, again: true })).outcome, 'ok')
  assert.equal((await operations.resend({ call: charge!.call, newKey: true, again: true })).outcome, 'ok')
  assert.equal(t.called(payments.note).length, 2)
  assert.equal(new Set(t.keys(payments.charge)).size, 2)
})

test('what the record does not hold whole is sent again only with an input, which is checked', async () => {
  await using t = await harness({ use: [payments] })
  t.answer(payments.note, reply(503))
  await assert.rejects(t.call(payments.note, { text: 'call ada@example.com' }))
  await assert.rejects(t.call(payments.note, { text: 'x'.repeat(9_000) }))
  const { operations } = t.app
  const [long, masked] = await operations.calls()
  for (const { call } of [long!, masked!])
    await assert.rejects(operations.resend({ call }), (e) => isFault(e, 'call.incomplete'))
  assert.equal((await operations.resend({ call: masked!.call, input: { text: 1 } })).outcome, 'schema.invalid')
  assert.equal(t.called(payments.note).length, 2)
  t.answer(payments.note, {})
  assert.equal((await operations.resend({ call: masked!.call, input: { text: 'call her' } })).outcome, 'ok')
  assert.deepEqual(t.called(payments.note).at(-1)?.['text'], 'call her')
})

test('of calls that go well a share is recorded, of the others all', async () => {
  const sampled = connection('sampled', {
    baseUrl: 'https://api.payments.test',
    retry: false,
    record: { sample: 0.25, bodies: 'none' },
    operations: { charge: { http: 'POST /charges', input: z.object({ amount: z.number() }), idempotent: 'key' } },
  })
  await using t = await harness({ use: [sampled], seed: 3 })
  t.answer(sampled.charge, {})
  for (let n = 0; n < 200; n++) await t.call(sampled.charge, { amount: n })
  const recorded = await t.app.operations.calls({ limit: 1_000 })
  assert.ok(recorded.length > 25 && recorded.length < 80, `${recorded.length} of 200`)
  assert.equal(recorded[0]!.request.body, `[${recorded[0]!.request.body?.replace(/\D/g, '')} bytes]`)
  t.answer(sampled.charge, reply(422))
  for (let n = 0; n < 20; n++) await assert.rejects(t.call(sampled.charge, { amount: n }))
  assert.equal((await t.app.operations.calls({ outcome: 'failed', limit: 1_000 })).length, 20)
  const [failed] = await t.app.operations.calls({ outcome: 'failed' })
  await assert.rejects(t.app.operations.resend({ call: failed!.call }), (e) => isFault(e, 'call.incomplete'))
})
