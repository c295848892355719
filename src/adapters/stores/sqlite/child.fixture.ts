import { spawn, type ChildProcess } from 'node:child_process'
import { rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isFault } from '#kernel/fault.ts'
import type { Clock } from '#kernel/clock.ts'
import { entry, topic } from '../conformance/trial.ts'
import { openStore } from './open.fixture.ts'

export type Ended = { readonly code: number | null; readonly signal: string | null; readonly output: string }
export type Child = { readonly process: ChildProcess; readonly ended: Promise<Ended>; onOutput: (all: string) => void }

/** Runs a part of this file in a process of its own, behind `before` (strace, unshare). Killed when the test ends. */
export function child(
  t: TestContext,
  part: keyof typeof parts,
  args: readonly string[],
  before: readonly string[] = [],
): Child {
  const command = [...before, process.execPath, fileURLToPath(import.meta.url), part, ...args]
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
  // One thread for the file system: the order of its syncs is then that of the calls.
  const env = { ...inherited, UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' }
  const spawned = spawn(command[0]!, command.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => spawned.kill('SIGKILL'))
  let output = ''
  let trouble = ''
  const started: Child = {
    process: spawned,
    onOutput: () => {},
    ended: new Promise((resolve, reject) => {
      spawned.on('error', reject)
      spawned.on('close', (code, signal) => {
        if (code !== 0 && signal !== 'SIGKILL') reject(new Error(`"${part}" ended with ${code ?? signal}: ${trouble}`))
        else resolve({ code, signal, output })
      })
    }),
  }
  spawned.stderr.on('data', (d: Buffer) => (trouble += d.toString()))
  spawned.stdout.on('data', (d: Buffer) => started.onOutput((output += d.toString())))
  return started
}

const clock: Clock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  after: (ms, fn) => {
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  },
  soon: (fn) => queueMicrotask(fn),
}

/** Written at once, past every buffer of ours: what the parent has read was said before any later death. */
const say = (text: string): unknown => writeSync(1, `${text}\n`)

const parts = {
  /** Another program: writes with SQLite into a log (WAL) and dies without closing. */
  async 'die with'(file: string, sql: string) {
    const db = new DatabaseSync(file)
    db.exec(`pragma journal_mode = wal; ${sql}`)
    process.kill(process.pid, 'SIGKILL')
  },

  async put(file: string, name: string) {
    await using store = await openStore(file, clock)
    await store.commit([{ writes: [{ write: 'put', name, value: '1', expires: null }] }], 'durable')
    say('done')
  },

  /** Says how opening went. */
  async open(file: string) {
    try {
      await (await openStore(file, clock))[Symbol.asyncDispose]()
      say('ok')
    } catch (e) {
      say(isFault(e) ? e.code : String(e))
    }
  },

  /**
   * Appends without end, or for `commits`, three commits under way at a time, and says each id once it is acknowledged.
   * Another connection copies the log back (checkpoint) every few commits, so that it starts again from its beginning.
   */
  async append(file: string, name: string, commits = '1000000') {
    await using store = await openStore(file, clock)
    const slot = await topic(store)
    const other = new DatabaseSync(file)
    let n = 0
    const writer = async (): Promise<void> => {
      while (n < Number(commits)) {
        const id = `${name}-${n++}`
        const entries = [0, 1, 2].map((i) =>
          entry(slot + i, `${id}-${i}`, { body: 'x'.repeat(400), dedupe: 1_000_000 }),
        )
        await store.commit([{ writes: [{ write: 'append', entries }] }], 'durable')
        say(id)
        if (n % 7 === 0) other.exec('pragma wal_checkpoint(passive)')
      }
    }
    await Promise.all([writer(), writer(), writer()])
    other.close()
  },

  /** Fills the disk that it is on, makes room, and goes on; says what was accepted, in order, and what was not. */
  async fill(folder: string) {
    const file = join(folder, 'x.db')
    writeFileSync(join(folder, 'filler'), new Uint8Array(512 * 1024))
    let store = await openStore(file, clock)
    const slot = await topic(store)
    const accepted: string[] = []
    const attempt = async (id: string): Promise<string> => {
      try {
        const body = 'x'.repeat(20_000)
        await store.commit(
          [{ writes: [{ write: 'append', entries: [entry(slot, id, { body, dedupe: 1_000_000 })] }] }],
          'durable',
        )
        accepted.push(id)
        return 'ok'
      } catch (e) {
        return isFault(e) ? e.code : String(e)
      }
    }
    const stored = async (): Promise<readonly string[]> =>
      (await store.read({ read: 'log', slot, from: 0, below: 1e6, limit: 1e6, bytes: 1e9 })).map((m) => m.id)
    const until = async (prefix: string, most: number): Promise<string> => {
      for (let i = 0; i < most; i++) {
        const answer = await attempt(`${prefix}${i}`)
        if (answer !== 'ok') return answer
      }
      return 'ok'
    }
    const full = [await until('a', 1_000), await attempt('b'), await attempt('b')]
    const whileFull = await stored()
    rmSync(join(folder, 'filler'))
    const after = await until('c', 10)
    const afterwards = await stored()
    await store[Symbol.asyncDispose]()
    store = await openStore(file, clock)
    const reopened = await stored()
    await store[Symbol.asyncDispose]()
    say(JSON.stringify({ full, accepted, whileFull, after, afterwards, reopened }))
  },

  /** Appends until a commit is refused, then says what a few more uses are answered. */
  async 'until refused'(file: string) {
    const store = await openStore(file, clock)
    const slot = await topic(store)
    const attempt = async (id: string, sync: 'durable' | 'relaxed'): Promise<string> => {
      try {
        await store.commit([{ writes: [{ write: 'append', entries: [entry(slot, id)] }] }], sync)
        say(id)
        return 'ok'
      } catch (e) {
        return isFault(e) ? e.code : String(e)
      }
    }
    const codeOf = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'ok',
        (e: unknown) => (isFault(e) ? e.code : String(e)),
      )
    let first = 'ok'
    for (let i = 0; i < 100 && first === 'ok'; i++) first = await attempt(`m${i}`, 'durable')
    const later = [await attempt('durable', 'durable'), await attempt('relaxed', 'relaxed')]
    const others = [await codeOf(store.begin(1_000)), await codeOf(store.read({ read: 'bounds', slots: [slot] }))]
    say(JSON.stringify({ first, later, others, closing: await codeOf(store[Symbol.asyncDispose]()) }))
  },
} satisfies Record<string, (...args: string[]) => Promise<void>>

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [part, ...args] = process.argv.slice(2)
  const run: (...args: string[]) => Promise<void> = parts[part as keyof typeof parts]
  await run(...args)
}
