import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { codes, type Code } from '#kernel/codes.ts'
import { Fault, fault } from '#kernel/fault.ts'
import type { Reply } from '#kernel/http.ts'
import { problem, statusOf } from './problem.ts'

const read = (reply: Reply): Record<string, unknown> => JSON.parse(reply.body as string) as Record<string, unknown>

describe('problem', () => {
  it('is RFC 9457, with type, title, status, detail and code', () => {
    const reply = problem(fault('input.not_found', { message: 'no such path' }))
    assert.equal(reply.status, 404)
    assert.equal(reply.headers!['content-type'], 'application/problem+json')
    assert.deepEqual(read(reply), {
      type: 'urn:fairlead:input.not_found',
      title: 'Nothing is served at this path.',
      status: 404,
      detail: 'no such path',
      code: 'input.not_found',
    })
  })
  it('has, for every code of the catalogue, its status, and shows neither cause, stack, detail nor a server message', () => {
    for (const code of Object.keys(codes) as Code[]) {
      const secret = 'CANARY-7f3a'
      const f = fault(code, { message: 'told', detail: { secret, issues: [secret] }, cause: new Error(secret) })
      const reply = problem(f)
      assert.equal(reply.status, codes[code].status)
      assert.ok(!JSON.stringify(reply).includes(secret), code)
      assert.ok(!(reply.body as string).includes('problem.test.ts'), code)
      assert.equal((reply.body as string).includes('told'), reply.status < 500, code)
    }
  })
  it('shows faults of kind bug and config as bug: how we are set up is nobody’s business', () => {
    for (const code of ['config.secret', 'store.sql', 'bug'] as const)
      assert.equal(read(problem(fault(code)))['code'], 'bug')
  })
  it('takes the status of a code of a user’s own from its kind', () => {
    assert.equal(statusOf(new Fault('cart.closed', 'rejected')), 422)
    assert.equal(
      read(problem(new Fault('cart.closed', 'rejected', { message: 'the cart is closed' })))['code'],
      'cart.closed',
    )
    assert.equal(statusOf(new Fault('constructor', 'invalid')), 400)
  })
  it('names the wait in whole seconds, rounded up, and a default with every 503 and 429', () => {
    const after = (f: Fault): string | undefined => problem(f).headers!['retry-after']
    assert.equal(after(fault('journal.full', { retryAfter: 1_001 })), '2')
    assert.equal(after(fault('journal.full', { retryAfter: 0 })), '1')
    assert.equal(after(fault('store.full')), '5')
    assert.equal(after(fault('connection.throttled')), '5')
    assert.equal(after(fault('input.json')), undefined)
  })
  it('turns the paths of issues into JSON pointers', () => {
    const issues = [
      { path: 'items[0].price', message: 'expected number' },
      { path: '', message: 'whole' },
      { path: 'a/b~c', message: 'x' },
    ]
    assert.deepEqual(read(problem(fault('schema.invalid', { detail: { issues } })))['issues'], [
      { pointer: '#/items/0/price', detail: 'expected number' },
      { pointer: '#', detail: 'whole' },
      { pointer: '#/a~1b~0c', detail: 'x' },
    ])
  })
  it('is valid JSON and bounded for any message', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 5_000 }), (message) => {
        const reply = problem(fault('input.json', { message }))
        assert.equal(read(reply)['status'], 400)
        assert.ok((reply.body as string).length < 8_000)
      }),
    )
  })
})
