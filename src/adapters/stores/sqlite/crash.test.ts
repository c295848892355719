import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { append, entry, log, same } from '../conformance/trial.ts'
import { child } from './child.fixture.ts'
import { openStore, scratch } from './open.fixture.ts'
import { Disk, traced, type Kept } from './power-cut.fixture.ts'

const clock = virtualClock()

/** Why a tool of the operating system cannot be used here; false when it can. */
function lacking(tool: string, ...args: readonly string[]): string | false {
  const { status } = spawnSync(tool, args, { stdio: 'ignore' })
  return status === 0 ? false : `this machine does not let us run ${tool} ${args.join(' ')}`
}
const noTrace = lacking('strace', '-f', '-e', 'trace=none', 'true')
const noMount = lacking('unshare', '-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt')

function folder(t: TestContext): { path: string; file: string } {
  const { path, file, remove } = scratch()
  t.after(remove)
  return { path: realpathSync(path), file }
}

/** Opens what a crash has left: every acknowledged commit is there, every commit whole, offsets without gaps. */
async function survived(file: string, acknowledged: Iterable<string>): Promise<void> {
  await using store = await openStore(file, clock)
  const topics = await store.read({ read: 'topics' })
  const stored: string[][] = []
  for (const slot of topics.length === 0 ? [] : [0, 1, 2]) {
    const messages = await log(store, slot)
    same(
      messages.map((m) => m.offset),
      [...messages.keys()],
    )
    stored.push(messages.map((m) => m.id.replace(/-\d$/, '')))
  }
  same(stored[1] ?? [], stored[0] ?? [])
  same(stored[2] ?? [], stored[0] ?? [])
  const all = new Set(stored[0])
  same(
    [...acknowledged].filter((id) => !all.has(id)),
    [],
  )
}

test('what was acknowledged is there after kill -9 at 20 random moments, once and in order', async (t) => {
  const { file } = folder(t)
  const random = seededRandom(20)
  const acknowledged = new Set<string>()
  for (let round = 0; round < 20; round++) {
    const killAfter = Math.floor(random.float() * 40)
    const c = child(t, 'append', [file, `r${round}`])
    c.onOutput = (all) => {
      if (all.split('\n').length > killAfter) c.process.kill('SIGKILL')
    }
    const { output, signal } = await c.ended
    same(signal, 'SIGKILL')
    // Without the last line: it may have been cut by the kill. An acknowledgement is a whole line.
    for (const id of output.split('\n').slice(0, -1)) acknowledged.add(id)
    await survived(file, acknowledged)
  }
  await using store = await openStore(file, clock)
  const repeated = [...acknowledged].map((id) => entry(2, `${id}-1`, { time: Date.UTC(2026, 0, 1), dedupe: 1e12 }))
  assert.ok(acknowledged.size > 20)
  same((await append(store, ...repeated)).filter((a) => !a.duplicate).length, 0)
})

/**
 * Proves, for the calls that one run of the store really made on this machine: had the power gone at any of the moments
 * tried, then what had been synced by then, together with any part of what had not, makes a store that opens and holds
 * every acknowledged commit whole. It takes the disk at its word: a sync that returned has happened. It does not prove
 * that a disk keeps its word, nor that no other order of calls exists.
 */
test('what was acknowledged is there after a power cut at any moment', { skip: noTrace }, async (t) => {
  const { path, file } = folder(t)
  const trace = await tracedRun(t, path)
  const random = seededRandom(7)
  const { length } = new Disk(path, trace)
  const disk = new Disk(path, trace)
  const modes: readonly Kept[] = ['none', 'sectors', 'some', 'all']
  let tried = 0
  // Every moment while the store is being created, then one in fifteen.
  for (let at = 0; at <= length; at += at < 40 ? 1 : 15) {
    disk.run(at)
    const copy = join(path, `cut-${at}`)
    disk.cut(copy, modes[tried++ % modes.length]!, random)
    await survived(join(copy, 'x.db'), disk.said)
    rmSync(copy, { recursive: true })
  }
  same(disk.said.length > 30, true)
  same(existsSync(file), true)
})

/** The test above can fail: with SQLite's own syncs alone (its checkpoints), acknowledged commits are lost. */
test('without the sync before the answer a power cut loses what was acknowledged', { skip: noTrace }, async (t) => {
  const { path } = folder(t)
  const trace = await tracedRun(t, path)
  const disk = new Disk(path, trace, 'fdatasync')
  let lost = 0
  for (let at = 0; at <= disk.length; at += 30) {
    disk.run(at)
    const copy = join(path, `cut-${at}`)
    disk.cut(copy, 'none', seededRandom(1))
    await survived(join(copy, 'x.db'), disk.said).catch((e: unknown) => {
      if (!(e instanceof assert.AssertionError)) throw e
      lost++
    })
  }
  assert.ok(lost > 0)
})

async function tracedRun(t: TestContext, path: string): Promise<string> {
  const out = scratch()
  t.after(out.remove)
  await child(t, 'append', [join(path, 'x.db'), 'a', '40'], ['strace', ...traced, '-o', out.file]).ended
  return readFileSync(out.file, 'utf8')
}

for (const error of ['EIO', 'ENOSPC'])
  test(
    `after a sync that failed with ${error} nothing is acknowledged any more, and what was before is there`,
    { skip: noTrace },
    async (t) => {
      const { file } = folder(t)
      await (await openStore(file, clock))[Symbol.asyncDispose]()
      const inject = [
        'strace',
        '-f',
        '-qq',
        '-o',
        '/dev/null',
        '-e',
        'trace=fdatasync',
        '-e',
        `inject=fdatasync:error=${error}:when=4`,
      ]
      const { output } = await child(t, 'until refused', [file], inject).ended
      const lines = output.trim().split('\n')
      same(JSON.parse(lines.pop()!), {
        first: 'store.broken',
        later: ['store.broken', 'store.broken'],
        others: ['store.broken', 'store.broken'],
        closing: 'store.broken',
      })
      same(lines, ['m0', 'm1'])
      await using store = await openStore(file, clock)
      same(
        (await log(store, 0)).slice(0, 2).map((m) => m.id),
        lines,
      )
    },
  )

test(
  'a full disk refuses new work, keeps what was accepted, and is written again once there is room',
  { skip: noMount },
  async (t) => {
    const { path } = folder(t)
    const disk = join(path, 'disk')
    mkdirSync(disk)
    // A disk of 2 MiB in a mount namespace of its own: it is gone with the process.
    const mounted = ['unshare', '-rm', 'sh', '-c', `mount -t tmpfs -o size=2m none '${disk}' && exec "$@"`, 'sh']
    const { output } = await child(t, 'fill', [disk], mounted).ended
    const found = JSON.parse(output) as Record<string, string[]>
    same(found['full'], ['store.full', 'store.full', 'store.full'])
    const accepted = found['accepted']!
    const before = accepted.filter((id) => id.startsWith('a'))
    assert.ok(before.length > 10)
    same(found['whileFull'], before)
    same(found['after'], 'ok')
    same(found['afterwards'], accepted)
    same(found['reopened'], accepted)
  },
)

test('a store that cannot be created on a full disk says so', { skip: noMount }, async (t) => {
  const { path } = folder(t)
  const disk = join(path, 'disk')
  mkdirSync(disk)
  for (const size of ['12k', '64k']) {
    const mounted = ['unshare', '-rm', 'sh', '-c', `mount -t tmpfs -o size=${size} none '${disk}' && exec "$@"`, 'sh']
    same((await child(t, 'open', [join(disk, 'x.db')], mounted).ended).output, 'store.full\n', size)
  }
})
