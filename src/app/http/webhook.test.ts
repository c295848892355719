import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { request as send } from 'node:http'
import { describe, it } from 'node:test'
import { define } from '#kernel/definition.ts'
import { fault } from '#kernel/fault.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import { secret, SecretValue } from '#kernel/secret.ts'
import { webhook } from '#patterns/webhooks/define.ts'
import { webhookDoor } from '#patterns/webhooks/run.ts'
import { githubSignature } from '#patterns/webhooks/signatures/github.ts'
import type { SignatureScheme } from '#patterns/webhooks/signatures/scheme.ts'
import { shopifySignature } from '#patterns/webhooks/signatures/shopify.ts'
import { virtualClock } from '#testing/clock.ts'
import { listen } from './server.ts'

const topic: TopicHandle<unknown> = define({ kind: 'topic', name: 'pushes' })
const key = [new SecretValue('HOOK', 'a secret that is long enough')]

async function setup(scheme: SignatureScheme, store: () => Promise<'stored' | 'duplicate'>) {
  const clock = virtualClock()
  const def = webhook('hook', { path: '/hooks/x', verify: scheme, otherwise: 'refuse', deliver: { push: topic } })
  const door = webhookDoor(def, { clock, secrets: { read: async () => key }, store, count: () => undefined })
  const server = await listen([door], { port: 0, clock, log: { write: () => undefined } })
  const post = (body: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
      const bytes = Buffer.from(body)
      const signed = scheme.sign!({ id: 'd1', type: 'push', body: bytes, now: clock.now() }, key)
      const outgoing = send(`${server.url}/hooks/x`, {
        method: 'POST',
        agent: false,
        headers: { ...signed, ...headers },
      })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      })
      outgoing.end(bytes)
    })
  return { post, [Symbol.asyncDispose]: () => server.close(0) }
}

describe('a webhook behind the server', () => {
  it('answers 200 without a body once stored, and to a repeat', async () => {
    const seen = ['stored', 'duplicate'] as const
    let n = 0
    await using t = await setup(githubSignature(secret('HOOK')), async () => seen[n++]!)
    for (const _ of seen) {
      const { status, body, headers } = await t.post('{}')
      assert.deepEqual([status, body, headers['content-length']], [200, '', '0'])
    }
    assert.equal(n, 2)
  })
  it('shows a stranger the same bytes for a bad signature, a missing header and an unknown type', async () => {
    await using t = await setup(githubSignature(secret('HOOK')), async () => 'stored')
    const replies = await Promise.all([
      t.post('{}', { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` }),
      t.post('{}', { 'x-hub-signature-256': '' }),
      t.post('{}', { 'x-github-event': 'star' }),
    ])
    for (const reply of replies) {
      delete reply.headers['date']
      assert.deepEqual(reply, replies[0])
    }
    assert.equal(replies[0].status, 400)
    assert.match(replies[0].body, /"code":"webhook\.refused"/)
    assert.ok(!/signature does not|header x-hub/.test(replies[0].body))
  })
  it('answers 401 to a bad signature where the provider demands it', async () => {
    await using t = await setup(shopifySignature(secret('HOOK')), async () => 'stored')
    assert.equal((await t.post('{}', { 'x-shopify-hmac-sha256': 'AAAA' })).status, 401)
  })
  it('answers 503 with Retry-After when it cannot be stored', async () => {
    await using t = await setup(githubSignature(secret('HOOK')), async () => {
      throw fault('journal.full', { retryAfter: 2_500 })
    })
    const { status, headers } = await t.post('{}')
    assert.deepEqual([status, headers['retry-after']], [503, '3'])
  })
})
