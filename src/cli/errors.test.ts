import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes, type Code } from '#kernel/codes.ts'
import { Fault, fault } from '#kernel/fault.ts'
import { configFault } from '#app/collect.ts'
import { exitCode, report, shownError } from './errors.ts'
import { fakeTerminal } from './terminal.fixture.ts'

const plain = { json: false, debug: false }

test('what a person must correct first ends with 2, what could not be done with 1', () => {
  const of = (code: Code): number => exitCode(fault(code))
  assert.deepEqual(
    ['config.port', 'store.newer', 'store.corrupt', 'cli.usage'].map((c) => of(c as Code)),
    [2, 2, 2, 2],
  )
  assert.deepEqual(
    ['store.readonly', 'store.full'].map((c) => of(c as Code)),
    [2, 2],
  )
  assert.deepEqual(
    ['journal.missing', 'topic.unknown', 'store.busy', 'bug'].map((c) => of(c as Code)),
    [1, 1, 1, 1],
  )
  assert.equal(exitCode(new TypeError('x')), 1)
})

test('tells code, path, cause and fix, and where to read more; never a stack', () => {
  const t = fakeTerminal()
  const cause = new Error('unable to open database file')
  assert.equal(report(fault('store.open', { detail: { path: '/data/x.db' }, cause }), t, plain), 2)
  assert.deepEqual(t.errors, [
    'error: The store cannot be opened.',
    '  code    store.open',
    '  path    /data/x.db',
    '  because Error: unable to open database file',
    '  fix     Check that the path exists, is writable and is not a directory.',
    '  more    fairlead explain store.open',
  ])
})

test('every code of the catalogue has a fix', () => {
  for (const code of Object.keys(codes) as Code[]) assert.notEqual(shownError(fault(code)).fix, '', code)
})

test('lists all problems, each with path and fix', () => {
  const t = fakeTerminal()
  const problems = [
    { path: 'topic(a)', message: 'is defined twice', fix: 'rename one of them' },
    { path: 'webhook(b).path', message: 'is missing\u001b[2J', fix: 'add it' },
  ]
  assert.equal(report(configFault(problems), t, plain), 2)
  assert.deepEqual(t.errors, [
    'error: 2 problems; nothing was started',
    '  topic(a): is defined twice',
    '    fix: rename one of them',
    '  webhook(b).path: is missing\\x1b[2J',
    '    fix: add it',
    '  code    config.invalid',
    '  more    fairlead explain config.invalid',
  ])
})

test('is one JSON object on standard error when a program asked', () => {
  const t = fakeTerminal()
  const problems = [{ path: 'topic(a)', message: 'is defined twice', fix: 'rename one of them' }]
  report(configFault(problems), t, { json: true, debug: false })
  assert.equal(t.errors.length, 1)
  const { error } = JSON.parse(t.errors[0]!) as { error: Record<string, unknown> }
  assert.deepEqual([error['code'], error['kind'], error['problems']], ['config.invalid', 'config', problems])
})

test('shows the stack only when asked to, and calls what is no fault a bug', () => {
  const t = fakeTerminal()
  assert.equal(report(new TypeError('boom'), t, plain), 1)
  assert.match(t.errors.join('\n'), /^error: TypeError: boom\n {2}code {4}bug\n/)
  assert.doesNotMatch(t.errors.join('\n'), /\bat /)
  report(new TypeError('boom'), t, { json: false, debug: true })
  assert.match(t.errors.join('\n'), /\n {4}at /)
})

test("a code of the user's own is not sent to the catalogue", () => {
  const t = fakeTerminal()
  report(new Fault('cart.closed', 'rejected', { message: 'cart.closed' }), t, plain)
  assert.ok(!t.errors.some((line) => line.includes('fairlead explain')))
})

test('masks what is sensitive by its name', () => {
  const shown = shownError(fault('connection.credential', { detail: { authorization: 'Bearer abc' } }))
  assert.deepEqual(shown.detail, { authorization: '[masked]' })
})
