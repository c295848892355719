import { existsSync, fstatSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fault } from '#kernel/fault.ts'
import type { Coverage } from './coverage.ts'
import type { Chance } from './decisions.ts'
import type { Sync } from './guards.ts'
import { WriterLock, type Process } from './machine.ts'
import type { Scheduler } from './scheduler.ts'
import type { Weather } from './swarm.ts'

/** In memory where the system has a place for it: what a power cut loses is played here, not measured. */
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const sector = 512

type Watcher = { readonly process: Process; readonly changed: () => void; armed: boolean }
type Descriptor = { readonly process: Process; failed: boolean; pending: (() => void) | undefined }

/** The state of the log at a moment: of which file, and how long. */
export type Mark = { readonly life: number; readonly length: number }

/**
 * The file that all processes of a world share, and how much of its log is on disk. SQLite writes frames, the store syncs
 * them: a sync covers what had been written when it began, takes its time, and may fail. A power cut keeps everything
 * synced, and any part of the rest: frames are checksummed, so the file opens at a commit boundary.
 */
export class Disk {
  readonly folder = mkdtempSync(join(place, 'fairlead-simulation-'))
  readonly path = join(this.folder, 'journal.db')
  readonly lock: WriterLock
  readonly #time: Scheduler
  readonly #chance: Chance
  readonly #coverage: Coverage
  readonly #weather: Weather
  /** Power may be cut in this world: the log then must not be written back when the last process closes the file. */
  readonly #volatile: boolean
  #keeper: DatabaseSync | undefined
  readonly #watchers = new Set<Watcher>()
  readonly #descriptors = new Map<number, Descriptor>()
  #opening: Process | undefined
  #open = 0
  /** The log is a new file whenever the last process has closed it: then everything is in the database, and synced. */
  #life = 0
  #synced = 0

  constructor(of: { time: Scheduler; chance: Chance; coverage: Coverage; weather: Weather; volatile: boolean }) {
    this.#time = of.time
    this.#chance = of.chance
    this.#coverage = of.coverage
    this.#weather = of.weather
    this.#volatile = of.volatile
    this.lock = new WriterLock(of.time)
  }

  /** Opening a file takes its lock: real ones are not waited for here. `open` must do all its work before it first waits. */
  async open<T>(process: Process, open: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve, reject) =>
      this.lock.take(process, resolve, () => process.reach(() => reject(fault('store.busy')))),
    )
    this.#opening = process
    let opened: Promise<T>
    try {
      opened = open()
    } finally {
      this.#opening = undefined
      this.lock.give(process)
    }
    const store = await opened
    this.#open++
    if (this.#volatile && this.#keeper === undefined) {
      this.#keeper = new DatabaseSync(this.path)
      this.#keeper.prepare('select count(*) from sqlite_schema').get()
    }
    return store
  }

  /** A process has closed the file. */
  closed(): void {
    if (--this.#open > 0 || this.#keeper !== undefined) return
    this.#life++
    this.#synced = 0
  }

  /** The store has opened the log, to sync it. */
  readonly opened = (fd: number, path: unknown): void => {
    if (this.#opening && path === `${this.path}-wal`)
      this.#descriptors.set(fd, { process: this.#opening, failed: false, pending: undefined })
  }

  /** Answers the store's fdatasync. */
  readonly sync: Sync = (fd, done) => {
    const of = this.#descriptors.get(fd)
    if (!of) throw new Error(`a file that is not the log is synced: ${fd}`)
    // What a process that has died has left to the system is of no use to it any more.
    if (of.process.state === 'dead') return queueMicrotask(() => done(null))
    const mark = { life: this.#life, length: fstatSync(fd).size }
    const label = `${of.process.name} sync`
    const fails = of.failed || this.#chance.likely(`${label} fails`, this.#weather.broken)
    const ms = this.#weather.sync === 0 ? 0 : this.#chance.whole(label, 0, this.#weather.sync)
    const answer = (e: NodeJS.ErrnoException | null): void => {
      if (of.pending !== end) return
      of.pending = undefined
      done(e)
    }
    const end = (): void => {
      if (of.pending !== end) return
      if (of.process.state === 'dead') return answer(null)
      // Every open descriptor is told once: what the system could not write may be lost for all of them.
      if (fails) for (const d of this.#descriptors.values()) d.failed = true
      else if (mark.life === this.#life) this.#synced = Math.max(this.#synced, mark.length)
      of.process.reach(() => answer(fails ? Object.assign(new Error('EIO'), { code: 'EIO', errno: -5 }) : null))
    }
    of.pending = end
    if (ms === 0) this.#time.soon(end)
    else this.#time.after(ms, end)
  }

  /** Everything that was written so far. */
  mark(): Mark {
    return { life: this.#life, length: this.#length() }
  }

  /** Whether a power cut now would keep everything up to the mark. */
  holds(mark: Mark): boolean {
    return mark.life < this.#life || this.#synced >= mark.length
  }

  #length(): number {
    return statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }

  /** What a power cut at this moment leaves. Taken before the processes die: closing the file would tidy it up. */
  image(): () => void {
    const database = readFileSync(this.path)
    const log = readFileSync(`${this.path}-wal`)
    const from = Math.min(this.#synced, log.length)
    const kept = this.#chance.weighted('cut', { none: 1, all: 1, some: 2, sectors: 2 })
    let to = kept === 'none' ? from : kept === 'some' ? this.#chance.whole('cut at', from, log.length) : log.length
    if (kept === 'sectors')
      for (let at = Math.ceil(from / sector) * sector; at < log.length; at += sector)
        if (this.#chance.likely('cut sector', 0.5)) log.fill(0, at, Math.min(at + sector, log.length))
    to = Math.max(from, to)
    if (to < log.length) this.#coverage.fault('lost tail')
    if (kept === 'sectors' && from < log.length) this.#coverage.fault('torn tail')
    return () => {
      this.#keeper?.close()
      this.#keeper = undefined
      rmSync(`${this.path}-shm`, { force: true })
      writeFileSync(this.path, database)
      writeFileSync(`${this.path}-wal`, log.subarray(0, to))
      this.#life++
      this.#synced = to
    }
  }

  watch(process: Process, changed: () => void): () => void {
    const watcher: Watcher = { process, changed, armed: false }
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
  }

  /** Others notice a commit within 100 ms, as by polling. */
  wrote(by: Process): void {
    for (const w of this.#watchers) {
      if (w.process === by || w.armed) continue
      w.armed = true
      w.process.after(100, () => {
        w.armed = false
        if (this.#watchers.has(w)) w.changed()
      })
    }
  }

  /** The process is dead: what it was waiting for is answered to nobody. */
  forget(process: Process): void {
    for (const w of this.#watchers) if (w.process === process) this.#watchers.delete(w)
    for (const d of this.#descriptors.values()) if (d.process === process) d.pending?.()
    this.lock.forget(process)
  }

  remove(): void {
    this.#keeper?.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
