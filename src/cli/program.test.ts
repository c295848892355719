import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes } from '#kernel/codes.ts'
import { commandNames, run } from './program.ts'
import { fakeTerminal } from './terminal.fixture.ts'

async function cli(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const t = fakeTerminal()
  const code = await run(argv, t)
  return { code, out: t.lines.join('\n'), err: t.errors.join('\n') }
}

test('without a command it shows the help, as wrong usage', async () => {
  const { code, out, err } = await cli()
  assert.equal(code, 2)
  assert.equal(out, '')
  for (const name of commandNames) assert.match(err, new RegExp(`^ {2}${name} `, 'm'))
})

test('help and version are results', async () => {
  assert.deepEqual([(await cli('--help')).code, (await cli('help')).code, (await cli('--version')).code], [0, 0, 0])
  assert.match((await cli('--version')).out, /^\d+\.\d+\.\d+$/)
  assert.equal((await cli('help', 'replay')).out, (await cli('replay', '--help')).out)
})

test('every command has a description and one example of itself', async () => {
  for (const name of commandNames) {
    const { code, out } = await cli(name, '--help')
    assert.equal(code, 0, name)
    assert.match(out, new RegExp(`^Usage: fairlead ${name}\\b`), name)
    assert.match(out, new RegExp(`Example:\\n  \\$ fairlead ${name}\\b`), name)
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line)
  }
})

test('what is misspelled is answered with what was meant', async () => {
  for (const [argv, meant] of [
    [['statsu'], 'Did you mean status?'],
    [['status', '--jsno'], 'Did you mean --json?'],
    [['--config', 'x', 'status'], 'write options after the command: fairlead status'],
    [['dead', '--state', 'ded'], 'Allowed choices are dead, retry, held, behind, all'],
    [['messages', 'orders', '--limit', '0'], 'It must be a whole number from 1 to 1000.'],
    [['start', '--port', '80x'], 'It must be a whole number from 0 to 65535.'],
    [['messages'], "missing required argument 'topic'"],
    [['discard', '3'], "required option '-r, --reason <text>' not specified"],
    [['topics', 'x'], 'too many arguments'],
  ] as const) {
    const { code, out, err } = await cli(...argv)
    assert.equal(code, 2, argv.join(' '))
    assert.equal(out, '')
    assert.ok(err.includes(meant), err)
    assert.ok(err.includes('cli.usage'), err)
  }
})

test('contradictory options are refused before a project is loaded', async () => {
  for (const argv of [
    ['replay'],
    ['redrive'],
    ['purge', 'billing', '--yes'],
    ['export'],
    ['import', '/no/such/file.ndjson'],
    ['replay-topic', 'billing'],
    ['replay-topic', 'billing', '--resume', '--cancel'],
    ['replay-topic', 'billing', '--resume', '--until', '1h'],
    ['rehearse', 'billing'],
    ['redrive', 'billing', '--stop-at', '2'],
    ['pause'],
    ['pause', 'billing', '--topic', 'orders'],
    ['pause', '--topic', 'orders', '--partition', '1'],
    ['replay', '1', '2', '--data', 'x.json'],
    ['replay', '1', '--data', '/no/such/file.json'],
  ]) {
    const { code, err } = await cli(...argv, '--json')
    assert.equal(code, 2, argv.join(' '))
    assert.equal((JSON.parse(err) as { error: { code: string } }).error.code, 'cli.usage')
  }
})

test('explains a code, or all of them, or says that there is none', async () => {
  const { out } = await cli('explain', 'store.full')
  assert.ok(out.includes(codes['store.full'].help))
  const all = JSON.parse((await cli('explain', '--json')).out) as { code: string }[]
  assert.deepEqual(
    all.map((c) => c.code),
    Object.keys(codes),
  )
  const unknown = await cli('explain', 'store.nope')
  assert.equal(unknown.code, 1)
  assert.match(unknown.err, /store\.full/)
})
