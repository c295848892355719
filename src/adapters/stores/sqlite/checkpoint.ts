import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'

/** Frames (4 KiB pages) in the WAL beyond what is copied when a pass begins: 16 MiB. */
const begin = 4_096
/** Length of the WAL at which the writers wait once for a pass, so that it starts again from its beginning: 96 MiB. */
const finish = 24_576
/** Commits between two looks at the length (5 µs each). */
const lookEvery = 64

const program = `
const { parentPort, workerData } = require('node:worker_threads')
const { DatabaseSync } = require('node:sqlite')
const db = new DatabaseSync(workerData, { timeout: 20 })
db.exec('pragma synchronous = normal')
const pass = db.prepare('pragma wal_checkpoint(passive)')
parentPort.on('message', (m) => {
  if (m === 'close') { db.close(); return parentPort.close() }
  try { pass.get() } catch {}
  parentPort.postMessage('done')
})`

/**
 * Checkpoints in a thread of their own: on the request thread they cost tens of milliseconds (measured elsewhere: p99 of
 * 22 ms against 5 ms). Most of the copying runs beside the writers; only what they added during the last pass is copied
 * while they wait. The thread exists from the first 16 MiB on, so that an idle process does not pay its memory. A pass
 * that fails is simply tried again later: the WAL keeps everything.
 */
export class Checkpointer {
  readonly #path: string
  readonly #length: StatementSync
  #worker: Worker | undefined
  #running: Promise<void> | undefined
  /** The log is long and most of it has just been copied beside the writers: for the rest they wait, now. */
  #finishing = false
  #commits = 0

  constructor(path: string, db: DatabaseSync) {
    this.#path = path
    this.#length = db.prepare('pragma wal_checkpoint(noop)')
  }

  /** Tells of a commit; returns what the writers must wait for before the next, if anything. */
  wrote(): Promise<void> | undefined {
    if (this.#running) return undefined
    if (this.#finishing) {
      this.#finishing = false
      return this.#pass()
    }
    if (++this.#commits % lookEvery !== 0) return undefined
    const row = this.#look()
    const frames = Number(row?.['log'])
    const left = frames - Number(row?.['checkpointed'])
    if (frames > finish && left < begin) return this.#pass()
    // Not "wait when little is left at a look": 64 commits of a thousand messages leave more than that each time.
    this.#finishing = frames > finish
    if (left > begin) void this.#pass()
    return undefined
  }

  /** The commit has happened: that its log could not be measured is no reason to tell anybody that it has not. */
  #look(): Record<string, unknown> | undefined {
    try {
      return this.#length.get()
    } catch {
      return undefined
    }
  }

  #pass(): Promise<void> {
    const worker = (this.#worker ??= this.#start())
    this.#running = new Promise<void>((resolve) => {
      const done = (): void => {
        this.#running = undefined
        worker.off('message', done)
        worker.off('exit', done)
        worker.unref()
        resolve()
      }
      worker.on('message', done)
      worker.on('exit', done)
      worker.ref()
      worker.postMessage('pass')
    })
    return this.#running
  }

  #start(): Worker {
    const worker = new Worker(program, {
      eval: true,
      workerData: this.#path,
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    })
    worker.on('error', () => {})
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
    })
    return worker
  }

  async close(): Promise<void> {
    await this.#running
    const worker = this.#worker
    if (!worker) return
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    worker.ref()
    worker.postMessage('close')
    await ended
  }
}
