import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

type Ended = { readonly code: number; readonly output: string }

/** Runs one file of tests the way `npm test` does. */
function run(name: string): Promise<Ended> {
  const file = fileURLToPath(new URL(`fixtures/leaks/${name}.ts`, import.meta.url))
  const leaks = new URL('leaks.ts', import.meta.url).href
  const flags = ['--import', leaks, '--test', '--test-isolation=none', '--test-force-exit', '--test-reporter=spec']
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
  const env = { ...inherited, NO_COLOR: '1', FAIRLEAD_TEST_GRACE: name === 'messy' ? '50' : '2000' }
  return new Promise((resolve) => {
    execFile(process.execPath, [...flags, file], { env, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr })
    })
  })
}

test('a run that closes what it opened passes', async () => {
  const { code, output } = await run('clean')
  assert.equal(code, 0, output)
  assert.match(output, /ℹ pass 6\n/)
})

test('a run that leaves things behind ends, fails, and names the tests', async () => {
  const { code, output } = await run('messy')
  assert.equal(code, 1, output)
  const list = output.slice(output.indexOf('failing tests:'))
  const said = (name: string): string => list.slice(list.indexOf(`✖ ${name} (`)).split('\ntest at ')[0]!
  assert.match(said('leaves a server'), /1 × TCPServerWrap/)
  assert.match(said('leaves a file'), /1 × temporary file left\.txt/)
  assert.match(said('leaves a database open'), /1 × temporary file db-\w+/)
  if (process.platform === 'linux') assert.match(said('leaves a database open'), /1 × open file .*left\.db/)
  assert.match(said('leaves a listener'), /1 × listener of SIGUSR2/)
  assert.match(said('leaves a variable'), /1 × environment variable FAIRLEAD_LEFT/)
  assert.match(list, /by "untidy suite":\s+1 × Timeout/)
  assert.doesNotMatch(list, /✖ .*innocent/)
  assert.match(output, /ℹ fail 5\n/)
})

test('a run removes its temporary folder', async () => {
  await run('messy')
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => name.startsWith('fairlead-test-')),
    [],
  )
})
