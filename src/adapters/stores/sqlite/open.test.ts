import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { append, commit, entry, log, offsets, refused, same, topic } from '../conformance/trial.ts'
import { schemaLevel } from '../migrations/index.ts'
import { child } from './child.fixture.ts'
import { openStore, scratch } from './open.fixture.ts'

const clock = virtualClock()

function folder(t: TestContext): string {
  const { path, remove } = scratch()
  t.after(remove)
  return path
}

/** Every file of a folder but SQLite's index of the log (`-shm`), which is rebuilt by whoever opens. */
function contents(path: string): Record<string, string> {
  const files = readdirSync(path).filter((f) => !f.endsWith('-shm'))
  return Object.fromEntries(files.map((f) => [f, readFileSync(join(path, f)).toString('base64')]))
}

async function refusedUntouched(file: string, code: string): Promise<void> {
  const before = contents(join(file, '..'))
  await refused(openStore(file, clock), code)
  assert.deepEqual(contents(join(file, '..')), before)
}

async function made(file: string, messages = 100): Promise<void> {
  await using store = await openStore(file, clock)
  const t = await topic(store)
  await append(store, ...Array.from({ length: messages }, (_, i) => entry(t, `m${i}`, { body: 'x'.repeat(500) })))
}

test('a database of another program is refused and not changed by a byte', async (t) => {
  const path = folder(t)
  for (const mode of ['delete', 'wal']) {
    const file = join(path, `${mode}.db`)
    const foreign = new DatabaseSync(file)
    foreign.exec(`pragma journal_mode = ${mode}; create table theirs (a); insert into theirs values (1)`)
    foreign.close()
    await refusedUntouched(file, 'store.foreign')
  }
  const marked = join(path, 'marked.db')
  const foreign = new DatabaseSync(marked)
  foreign.exec('pragma application_id = 7')
  foreign.close()
  await refusedUntouched(marked, 'store.foreign')
})

test('a database of another program that died is refused without finishing its work', async (t) => {
  const path = folder(t)
  const file = join(path, 'x.db')
  await child(t, 'die with', [file, 'create table theirs (a); insert into theirs values (1)']).ended
  assert.ok(statSync(`${file}-wal`).size > 0)
  await refusedUntouched(file, 'store.foreign')
})

test('a store of a newer version is refused and not changed by a byte, also where that version died', async (t) => {
  const path = folder(t)
  const file = join(path, 'x.db')
  await made(file)
  const newer = new DatabaseSync(file)
  newer.exec(`pragma user_version = ${schemaLevel + 1}`)
  newer.close()
  await refusedUntouched(file, 'store.newer')
  await child(t, 'die with', [file, 'create table more (a)']).ended
  assert.ok(statSync(`${file}-wal`).size > 0)
  await refusedUntouched(file, 'store.newer')
})

test('a file that is no database is refused as damaged and not changed', async (t) => {
  const path = folder(t)
  for (const [name, text] of Object.entries({ short: 'hello', long: 'x'.repeat(100_000), zeros: '\0'.repeat(8_192) })) {
    writeFileSync(join(path, name), text)
    await refusedUntouched(join(path, name), 'store.corrupt')
  }
})

test('an empty file becomes a store', async (t) => {
  const file = join(folder(t), 'x.db')
  writeFileSync(file, '')
  await made(file)
})

test('a database that was cut off is refused wherever it was cut', async (t) => {
  const path = folder(t)
  const file = join(path, 'x.db')
  await made(file)
  const whole = readFileSync(file)
  const { length } = whole
  for (const left of [50, 99, 100, 512, 4_095, 4_096, 10_000, length - 4_096, length - 513, length - 512, length - 1]) {
    rmSync(path, { recursive: true })
    mkdirSync(path)
    writeFileSync(file, whole.subarray(0, left))
    await refusedUntouched(file, 'store.corrupt')
  }
})

test('a store whose pages are overwritten is refused as damaged', async (t) => {
  const file = join(folder(t), 'x.db')
  await made(file)
  const bytes = readFileSync(file)
  writeFileSync(file, bytes.fill(0xff, 4_096))
  await refused(openStore(file, clock), 'store.corrupt')
})

test('a folder, and a path in no folder, are refused as not to be opened', async (t) => {
  const path = folder(t)
  await refused(openStore(path, clock), 'store.open')
  await refused(openStore(join(path, 'none', 'x.db'), clock), 'store.open')
  assert.deepEqual(readdirSync(path), [])
})

test('a file that may not be written, and a folder that may not, are refused as read-only', async (t) => {
  for (const [fileMode, folderMode] of [
    [0o444, 0o777],
    [0o666, 0o555],
    [0o444, 0o555],
  ] as const) {
    // Not below TMPDIR, whose folders belong to us alone: root lays its power down to another user for the attempt.
    const path = mkdtempSync('/tmp/store-')
    t.after(() => rmSync(path, { recursive: true }))
    const file = join(path, 'x.db')
    await made(file)
    chmodSync(file, fileMode)
    chmodSync(path, folderMode)
    const before = readFileSync(file)
    await refused(
      asNobody(() => openStore(file, clock)),
      'store.readonly',
    )
    chmodSync(path, 0o777)
    assert.deepEqual(readFileSync(file), before)
    chmodSync(file, 0o666)
    await made(file)
  }
})

/** Opening is synchronous up to its first wait: a file is opened, or refused, within this call. */
function asNobody<T>(work: () => T): T {
  if (process.geteuid?.() !== 0) return work()
  process.seteuid!(65_534)
  try {
    return work()
  } finally {
    process.seteuid!(0)
  }
}

test('the log of a process that died, cut at any byte, opens at the commit before the cut', async (t) => {
  const { file, ends } = await died(t, 8)
  const wal = readFileSync(`${file}-wal`)
  const cuts = ends.slice(4).flatMap((end) => [end - 4_097, end - 4_096, end - 4_073, end - 24, end - 1, end, end + 1])
  for (const cut of cuts.filter((c) => c <= wal.length)) {
    const copy = scratch()
    copyFileSync(file, copy.file)
    writeFileSync(`${copy.file}-wal`, wal.subarray(0, cut))
    await opensWith(copy.file, ends.filter((end) => end <= cut).length)
    copy.remove()
  }
})

test('the log of a process that died, damaged in any frame, opens at the commit before the damage', async (t) => {
  const { file, ends } = await died(t, 8)
  const wal = readFileSync(`${file}-wal`)
  for (let at = ends[3]! + 5; at < wal.length; at += 1_013) {
    const copy = scratch()
    copyFileSync(file, copy.file)
    writeFileSync(`${copy.file}-wal`, wal.with(at, wal[at]! ^ 0x10))
    await opensWith(copy.file, ends.filter((end) => end <= at).length)
    copy.remove()
  }
})

/** A store in which each commit appended three messages, as its files were before it was closed; `ends`: length of the log after each. */
async function died(t: TestContext, commits: number): Promise<{ file: string; ends: readonly number[] }> {
  const live = scratch()
  const copy = scratch()
  t.after(() => (live.remove(), copy.remove()))
  await using store = await openStore(live.file, clock)
  const slot = await topic(store)
  const ends: number[] = []
  for (let i = 0; i < commits; i++) {
    await append(store, ...[0, 1, 2].map((n) => entry(slot, `${i}-${n}`, { body: 'x'.repeat(700) })))
    ends.push(statSync(`${live.file}-wal`).size)
  }
  // By another process: closing a file here would release the locks that SQLite holds on it here (POSIX).
  execFileSync('cp', [live.file, `${live.file}-wal`, copy.path])
  return { file: copy.file, ends }
}

async function opensWith(file: string, commits: number): Promise<void> {
  await using store = await openStore(file, clock)
  const expected = Array.from({ length: commits }, (_, i) => [0, 1, 2].map((n) => `${i}-${n}`)).flat()
  same(
    (await log(store, 0)).map((m) => m.id),
    expected,
  )
  same(await offsets(store, 0), [...expected.keys()])
}

test('five processes that create one store at the same moment all get it', async (t) => {
  const file = join(folder(t), 'x.db')
  const children = Array.from({ length: 5 }, (_, i) => child(t, 'put', [file, `k${i}`]))
  assert.deepEqual(
    (await Promise.all(children.map((c) => c.ended))).map((e) => e.output),
    ['done\n', 'done\n', 'done\n', 'done\n', 'done\n'],
  )
  await using store = await openStore(file, clock)
  same((await store.read({ read: 'keys', prefix: '', now: 0 })).length, 5)
})

test('opening waits for the lock of another process, at most 5 s', async (t) => {
  const file = join(folder(t), 'x.db')
  await made(file)
  const other = new DatabaseSync(file)
  t.after(() => other.close())
  other.exec('begin immediate')
  let opened = false
  const opening = openStore(file, clock).then((store) => {
    opened = true
    return store
  })
  await clock.advance(1_000)
  same(opened, false)
  other.exec('commit')
  await clock.advance(1_000)
  await using store = await opening
  same(opened, true)
  await commit(store, { write: 'put', name: 'k', value: 'v', expires: null })

  other.exec('begin immediate')
  const refusal = refused(openStore(file, clock), 'store.busy')
  await clock.advance(6_000)
  await refusal
  other.exec('commit')
  same(clock.armed, 0)
})

test('what failed to open leaves nothing open', async (t) => {
  const path = folder(t)
  await refused(openStore(path, clock), 'store.open')
  writeFileSync(join(path, 'x'), 'hello')
  await refused(openStore(join(path, 'x'), clock), 'store.corrupt')
  if (!existsSync('/proc/self/fd')) return
  // Sockets of other tests may be closing just now.
  const open = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      return []
    }
  })
  assert.deepEqual(
    open.filter((file) => file.startsWith(path)),
    [],
  )
})
