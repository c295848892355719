import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import { define } from '#kernel/definition.ts'
import { isFault, reject } from '#kernel/fault.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import { secret } from '#kernel/secret.ts'
import type { Arrival } from './arrival.ts'
import { webhook } from './define.ts'
import { routeArrival } from './route.ts'
import { slackSignature } from './signatures/slack.ts'
import { stripeSignature } from './signatures/stripe.ts'

const paid: TopicHandle<{ order: string }> = define({ kind: 'topic', name: 'orders.paid' })
const raw: TopicHandle<unknown> = define({ kind: 'topic', name: 'raw' })
const verify = stripeSignature(secret('K'))
const arrival = (type: string, body: string, contentType = 'application/json'): Arrival => ({
  id: 'evt_1',
  type,
  time: 7,
  contentType,
  headers: { 'user-agent': 'x' },
  body: Buffer.from(body),
})
const hook = webhook('payments', {
  path: '/x',
  verify,
  deliver: {
    bare: raw,
    mapped: {
      to: paid,
      map: (e, info) => ({ order: `${(e as { n: number }).n}/${info.id}/${info.type}/${info.time}` }),
    },
    later: { to: paid, map: async () => ({ order: 'later' }), key: () => 'k' },
    whole: { to: raw },
    wrong: { to: paid, map: () => reject('charge.odd') },
  },
})

describe('routeArrival', () => {
  it('gives a bare topic the parsed body, under an id that is the same on every replay', async () => {
    const routed = { topic: raw, data: { n: 1 }, id: 'webhook.payments/evt_1' }
    assert.deepEqual(await routeArrival(hook, arrival('bare', '{"n":1}')), routed)
    assert.deepEqual(await routeArrival(hook, arrival('bare', '{"n":1}')), routed)
    assert.deepEqual(await routeArrival(hook, arrival('whole', '{"n":1}')), routed)
  })
  it('gives a mapping the body and what surrounds it, and takes its promise and key', async () => {
    const id = 'webhook.payments/evt_1'
    assert.deepEqual(await routeArrival(hook, arrival('mapped', '{"n":1}')), {
      topic: paid,
      data: { order: '1/evt_1/mapped/7' },
      id,
    })
    assert.deepEqual(await routeArrival(hook, arrival('later', '{}')), {
      topic: paid,
      data: { order: 'later' },
      id,
      key: 'k',
    })
  })
  it('passes on what a mapping throws', async () => {
    await assert.rejects(routeArrival(hook, arrival('wrong', '{}')), (e) => isFault(e, 'charge.odd'))
  })
  it('leaves other types in the inbox, also those named like a property of every object', async () => {
    for (const type of ['other', 'constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      assert.equal(await routeArrival(hook, arrival(type, '{}')), 'ignored')
    }
  })
  it('fails for a type whose route was removed where others are refused, so that it is parked and seen', async () => {
    const strict = webhook('p', { path: '/x', verify, otherwise: 'refuse', deliver: { bare: raw } })
    await assert.rejects(routeArrival(strict, arrival('gone', '{}')), (e) => isFault(e, 'webhook.unrouted'))
  })
  it('reads a form where the scheme takes forms', async () => {
    const slack = webhook('slack', { path: '/s', verify: slackSignature(secret('S')), deliver: { slash_command: raw } })
    const routed = await routeArrival(
      slack,
      arrival('slash_command', 'command=%2Freplay&text=order+42', 'application/x-www-form-urlencoded'),
    )
    assert.deepEqual(routed === 'ignored' ? undefined : routed.data, { command: '/replay', text: 'order 42' })
  })
})
