import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

type Ended = { readonly code: number | null; readonly out: string; readonly err: string }

/** Runs the command; `stopAt`: presses Ctrl-C when this was printed. */
function run(args: readonly string[], stopAt?: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.on('data', (d: Buffer) => {
      const before = out
      out += d.toString()
      if (stopAt !== undefined && !before.includes(stopAt) && out.includes(stopAt)) child.kill('SIGINT')
    })
    child.stderr.on('data', (d: Buffer) => (err += d.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out, err }))
  })
}

test('prints how it is used when asked, and when it was asked wrongly', async () => {
  const [help, wrong, bug] = await Promise.all([run(['--help']), run(['--seeds', 'many']), run(['--bug', 'none'])])
  assert.equal(help.code, 0)
  assert.match(help.out, /usage: npm run simulate/)
  assert.deepEqual([wrong.code, wrong.out, bug.code, bug.out], [2, '', 2, ''])
  assert.match(wrong.err, /--seeds takes a whole number from 1 on, not "many"\n\nusage: /)
  assert.match(bug.err, /there is no planted mistake "none"; there are answers-before-the-sync, /)
})

test('plays worlds and says what they covered, for people and as one line of JSON', async () => {
  const [text, json] = await Promise.all([run(['--seeds', '1']), run(['--seeds', '1', '--from', '9', '--json'])])
  assert.deepEqual([text.code, json.code], [0, 0], text.err + json.err)
  assert.match(text.out, / worlds? in [\d.]+ s/)
  assert.match(text.out, /fault × operation: \d+ of \d+ pairs/)
  assert.match(text.out, /I1 +[\d,]+ {2}what was accepted is kept/)
  const figures = JSON.parse(json.out) as { worlds: number; invariants: Record<string, number> }
  assert.ok(figures.worlds >= 1 && figures.invariants['I1']! > 0)
})

test('a world that fails is told as a story, and its list of decisions plays it again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-replay-'))
  try {
    const file = join(folder, 'list.json')
    // A message is parked, and the next one of its key arrives.
    const decisions = {
      'swarm batch': [2],
      'swarm failing': [1],
      'step/8 what': [5],
      'step/8 many': [1],
      'batch/u8.1 effect': [1],
      'follow/u8.1>batch fails': [1],
      'batch/u8.2 effect': [1],
    }
    writeFileSync(file, JSON.stringify(decisions))
    const [sound, broken] = await Promise.all([
      run(['--replay', file]),
      run(['--replay', file, '--bug', 'behind-forgotten']),
    ])
    assert.equal(sound.code, 0, sound.out)
    assert.match(sound.out, /everything held/)
    assert.equal(broken.code, 1, broken.out)
    assert.match(broken.out, /decisions .*\n {2}swarm batch: 1\n {2}swarm failing: 0\.1\n/)
    assert.match(broken.out, /p100 follow ends u8\.1>batch: test\.failed\n/)
    assert.match(broken.out, /broken:\n {2}I4: follow handled u8\.2>batch before u8\.1>batch, both of k1/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('Ctrl-C ends it after the world that is played, with what was done so far', async () => {
  const { code, out } = await run(['--minutes', '10'], 'playing worlds')
  assert.equal(code, 130)
  assert.match(out, /stopped: \d+ worlds? in /)
})
