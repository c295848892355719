import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fault } from '#kernel/fault.ts'
import { classify, type Asked, type Rule } from './classify.ts'
import { verdict } from './verdict.ts'

const asked: Asked = {
  connection: 'payments',
  operation: 'charge',
  method: 'POST',
  natural: false,
  keyed: false,
  repeated: false,
}
const code = (status: number, over: Partial<Asked> = {}, headers: Record<string, string> = {}): string | undefined =>
  classify({ status, headers, body: () => undefined }, { ...asked, ...over }, [], 0)?.code

test('the table of statuses', () => {
  const table: Record<string, number[]> = {
    'connection.credential': [401, 440, 498],
    'connection.forbidden': [403],
    'connection.not_found': [404, 410],
    'connection.conflict': [409, 412, 428],
    'connection.throttled': [420, 429, 430, 529],
    'connection.unavailable': [408, 421, 425, 503],
    'connection.redirect': [300, 301, 302, 303, 304, 307, 308],
    'connection.rejected': [400, 402, 405, 406, 411, 413, 414, 415, 422, 431, 451, 501, 505, 508, 511],
    'connection.failed': [500, 502, 504, 507, 520, 524, 599],
  }
  for (const [expected, statuses] of Object.entries(table)) {
    for (const status of statuses) assert.equal(code(status), expected, String(status))
  }
  for (const status of [200, 201, 202, 204, 206, 207, 226]) assert.equal(code(status), undefined)
})

test('what stands in front of the API may have passed the request on: transient only where twice is once', () => {
  for (const status of [502, 504, 520, 527]) {
    assert.equal(code(status, { natural: true, method: 'GET' }), 'connection.unavailable')
    assert.equal(
      code(status, { keyed: true }),
      'connection.failed',
      'a key protects our repetition, not one by the caller',
    )
  }
})

test('a 403 that says when to come back is a limit', () => {
  assert.equal(code(403, {}, { 'retry-after': '60' }), 'connection.throttled')
})

test('a 403 whose challenge speaks of the token is about the credential, not about rights', () => {
  const challenge = (text: string): string | undefined => code(403, {}, { 'www-authenticate': text })
  assert.equal(
    challenge('Bearer realm="x", error="invalid_token", error_description="expired"'),
    'connection.credential',
  )
  assert.equal(challenge('Bearer error=invalid_token'), 'connection.credential')
  assert.equal(challenge('Bearer error="insufficient_scope"'), 'connection.forbidden')
})

test('a repeated DELETE that finds nothing has worked, a first one has not', () => {
  const del = { method: 'DELETE', natural: true }
  assert.equal(code(404, del), 'connection.not_found')
  assert.equal(code(404, { ...del, repeated: true }), undefined)
  assert.equal(code(410, { ...del, repeated: true }), undefined)
})

test('a conflict on a repetition under the same key means that the first is still running', () => {
  assert.equal(code(409, { keyed: true }), 'connection.conflict')
  assert.equal(code(409, { keyed: true, repeated: true }), 'connection.unavailable')
  assert.equal(code(409, { repeated: true }), 'connection.conflict')
})

test('rules come before the table, in order, and see an error inside a 200', () => {
  const rules: Rule[] = [
    { status: 404, means: 'ok' },
    { status: [200, 201], body: (b) => (b as { error?: string }).error === 'busy', means: 'throttled' },
    { header: { name: 'X-Error', value: 'yes' }, means: 'connection.forbidden' },
    { body: (b) => (b as { error: { code: string } }).error.code === 'gone', means: 'connection.not_found' },
  ]
  const run = (status: number, body: unknown, headers: Record<string, string> = {}): string | undefined =>
    classify({ status, headers, body: () => body }, asked, rules, 0)?.code
  assert.equal(run(404, {}), undefined)
  assert.equal(run(200, { error: 'busy' }), 'connection.throttled')
  assert.equal(run(500, {}, { 'x-error': 'YES' }), 'connection.forbidden')
  assert.equal(run(200, { error: { code: 'gone' } }), 'connection.not_found')
  assert.equal(run(200, 'text'), undefined, 'a rule that throws does not fit')
})

test('a fault tells where it came from and when to come back, and nothing of the body but the problem type', () => {
  const body = { type: 'https://api.test/quota', detail: 'card 4242424242424242' }
  const headers = { 'retry-after': '7', 'content-type': 'application/problem+json' }
  const f = classify({ status: 429, headers, body: () => body }, asked, [], 0)!
  assert.equal(f.retryAfter, 7_000)
  assert.deepEqual(f.detail, {
    connection: 'payments',
    operation: 'charge',
    status: 429,
    type: 'https://api.test/quota',
  })
  assert.ok(!JSON.stringify(f).includes('4242'))
})

test('every status has a meaning, and nothing that may have happened twice is called transient by accident', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 200, max: 599 }),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      (status, natural, keyed, repeated) => {
        const f = classify(
          { status, headers: {}, body: () => undefined },
          { ...asked, natural, keyed, repeated },
          [],
          0,
        )
        assert.equal(f === undefined, status < 300)
        if (f && !natural && [500, 502, 504].includes(status)) assert.equal(f.kind, 'ambiguous')
      },
    ),
  )
})

test('what a fault means for the next attempt', () => {
  const go = { retry: true, failure: true }
  assert.deepEqual(verdict(fault('connection.unreachable'), false), go)
  assert.deepEqual(verdict(fault('connection.timeout'), true), go)
  assert.deepEqual(verdict(fault('connection.timeout'), false), { retry: false, failure: true })
  assert.deepEqual(verdict(fault('connection.throttled', { retryAfter: 5 }), false), {
    retry: true,
    failure: false,
    retryAfter: 5,
    coolDown: 5,
  })
  assert.deepEqual(verdict(fault('connection.throttled'), false), { retry: true, failure: false, coolDown: 1_000 })
  for (const reason of ['json', 'shape', 'too-large', 'encoding']) {
    assert.deepEqual(verdict(fault('connection.response', { detail: { reason } }), true), {
      retry: false,
      failure: false,
    })
  }
  assert.deepEqual(verdict(fault('connection.response', { detail: { reason: 'truncated' } }), true), go)
  for (const code of [
    'connection.rejected',
    'connection.credential',
    'connection.conflict',
    'cancelled',
    'config.secret',
    'bug',
  ] as const) {
    assert.deepEqual(verdict(fault(code), true), { retry: false, failure: false })
  }
  assert.deepEqual(verdict(new Error('x'), true), { retry: false, failure: false })
})
