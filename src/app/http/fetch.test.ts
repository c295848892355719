import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import { fault } from '#kernel/fault.ts'
import type { Door, Inbound, Reply } from '#kernel/http.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { serve } from './fetch.ts'
import type { HttpLimits } from './gate.ts'

function setup(handle: (request: Inbound) => Promise<Reply>, limits: Partial<HttpLimits> = {}) {
  const clock = virtualClock()
  const counts: [string, number, string][] = []
  const door: Door = { name: 'hook', methods: ['POST'], path: '/hook', maxBytes: 1_000, handle }
  const app = serve([door], {
    clock,
    limits,
    log: { write: () => undefined },
    count: (...one) => void counts.push(one),
  })
  const post = (body?: string | Uint8Array<ArrayBuffer> | ReadableStream, init: RequestInit = {}) =>
    app(
      new Request('https://example.com/hook?a=1#x', {
        method: 'POST',
        duplex: 'half',
        ...init,
        ...(body ? { body } : {}),
      }),
    )
  return { clock, counts, app, post }
}

const code = async (response: Response): Promise<unknown> => ((await response.json()) as { code: string }).code

describe('serve', () => {
  it('hands the same door the same request, and gives its reply', async () => {
    const seen: Inbound[] = []
    const t = setup(async (request) => {
      seen.push(request)
      return { status: 202, headers: { 'x-reply': 'yes' }, body: 'gruß' }
    })
    const response = await t.post('hi', { headers: { 'X-Two': '1' } })
    assert.deepEqual([response.status, response.headers.get('x-reply'), await response.text()], [202, 'yes', 'gruß'])
    assert.deepEqual([seen[0]!.path, seen[0]!.query, seen[0]!.headers['x-two']], ['/hook', 'a=1', '1'])
    assert.equal(Buffer.from(seen[0]!.body).toString(), 'hi')
    assert.deepEqual(t.counts, [['hook', 202, '']])
    assert.equal(t.clock.armed, 0)
  })
  it('answers 404, 405 with Allow, 413, 415 and faults as problems', async () => {
    const t = setup(async () => {
      throw fault('store.full')
    })
    assert.equal((await t.app(new Request('https://example.com'))).status, 404)
    const method = await t.app(new Request('https://example.com/hook'))
    assert.deepEqual([method.status, method.headers.get('allow')], [405, 'POST'])
    assert.equal(await code(await t.post('x'.repeat(1_001))), 'input.too_large')
    assert.equal(await code(await t.post('x', { headers: { 'content-encoding': 'gzip' } })), 'input.encoding')
    const full = await t.post('x')
    assert.deepEqual([full.status, full.headers.get('retry-after')], [503, '5'])
    assert.equal(t.counts.length, 5)
  })
  it('cuts off a stream at the limit without reading on', async () => {
    let pulled = 0
    let cancelled = false
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++
        controller.enqueue(new Uint8Array(400))
      },
      cancel() {
        cancelled = true
      },
    })
    const t = setup(async () => ({ status: 200 }))
    assert.equal((await t.post(endless)).status, 413)
    await settle()
    assert.ok(pulled <= 5 && cancelled)
  })
  it('answers 408 when the body does not end, 504 when the door does not, and holds nothing after that', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const t = setup(async () => (await gate, { status: 200 }), { held: 1_000 })
    const stalled = new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(new Uint8Array(600)) })
    const slowBody = t.post(stalled)
    await settle()
    assert.equal((await t.post(new Uint8Array(600))).status, 503)
    await t.clock.advance(30_000)
    assert.equal((await slowBody).status, 408)
    const slowDoor = t.post(new Uint8Array(600))
    await settle()
    await t.clock.advance(30_000)
    assert.equal((await slowDoor).status, 504)
    open()
    assert.equal((await t.post(new Uint8Array(600))).status, 200)
    assert.equal(t.clock.armed, 0)
  })
  it('answers 400 to a body that breaks off', async () => {
    const t = setup(async () => ({ status: 200 }))
    const broken = new ReadableStream<Uint8Array>({ pull: (c) => c.error(new Error('CANARY')) })
    const response = await t.post(broken)
    assert.equal(response.status, 400)
    assert.equal(await code(response), 'input.truncated')
  })
  it('is 500 when the reply cannot be a response, and bare for 204', async () => {
    const bad = setup(async () => ({ status: 200, headers: { 'x-a': 'b\r\nc' } }))
    assert.equal((await bad.post('x')).status, 500)
    const bare = setup(async () => ({ status: 204 }))
    const response = await bare.post('x')
    assert.deepEqual([response.status, response.body], [204, null])
  })
})
