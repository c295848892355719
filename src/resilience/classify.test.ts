import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes, type Code } from '#kernel/codes.ts'
import { fault } from '#kernel/fault.ts'
import { classify, isCancelled, isRefusal } from './classify.ts'

test('every kind of fault has its consequence', () => {
  const table: Record<string, [code: Code, retry: boolean, retryIfIdempotent: boolean, failure: boolean]> = {
    transient: ['connection.unreachable', true, true, true],
    throttled: ['connection.throttled', true, true, false],
    ambiguous: ['connection.timeout', false, true, true],
    credential: ['connection.credential', false, false, false],
    conflict: ['connection.conflict', false, false, false],
    rejected: ['connection.rejected', false, false, false],
    invalid: ['schema.invalid', false, false, false],
    config: ['config.option', false, false, false],
    cancelled: ['cancelled', false, false, false],
    bug: ['bug', false, false, false],
  }
  assert.deepEqual(Object.keys(table).toSorted(), [...new Set(Object.values(codes).map((c) => c.kind))].toSorted())
  for (const [kind, [code, retry, ifIdempotent, failure]] of Object.entries(table)) {
    assert.equal(codes[code].kind, kind)
    const plain = classify(fault(code), false)
    assert.deepEqual([plain.retry, plain.failure], [retry, failure], kind)
    assert.equal(classify(fault(code), true).retry, ifIdempotent, kind)
  }
})

test('what is not a fault may have happened', () => {
  for (const thrown of [new Error('?'), undefined, null, 'text', { code: 'ECONNRESET' }]) {
    assert.deepEqual(classify(thrown, false), { retry: false, failure: true })
    assert.deepEqual(classify(thrown, true), { retry: true, failure: true })
  }
})

test('an AbortError is a caller who gave up, a TimeoutError is not', () => {
  assert.equal(isCancelled(new DOMException('x', 'AbortError')), true)
  assert.equal(isCancelled(new DOMException('x', 'TimeoutError')), false)
  assert.equal(classify(new DOMException('x', 'TimeoutError'), false).failure, true)
})

test('being throttled cools down as long as they told us, 1 s when they did not', () => {
  assert.equal(classify(fault('connection.throttled', { retryAfter: 7_000 }), false).coolDown, 7_000)
  assert.equal(classify(fault('connection.throttled'), false).coolDown, 1_000)
})

test('our own refusals are no failures of the other side and cool nothing down', () => {
  const own = [
    'resilience.breaker_open',
    'resilience.bulkhead_full',
    'resilience.limited',
    'resilience.deadline',
  ] as const
  for (const code of own) {
    const refusal = fault(code, { retryAfter: 5 })
    assert.equal(isRefusal(refusal), true)
    assert.deepEqual(classify(refusal, false), { retry: true, failure: false, retryAfter: 5 })
  }
  assert.equal(isRefusal(fault('resilience.timeout')), false)
})
