import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fault } from '#kernel/fault.ts'
import type { Process } from './machine.ts'
import { WriterLock } from './machine.ts'
import type { Scheduler } from './scheduler.ts'

/** In memory where the system has a place for it: what a power cut loses is played here, not measured. */
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

type Watcher = { readonly process: Process; readonly changed: () => void; armed: boolean }

/** The file that all processes of a world share, and what of it a power cut would leave. */
export class Disk {
  readonly folder = mkdtempSync(join(place, 'fairlead-laws-'))
  readonly path = join(this.folder, 'journal.db')
  readonly lock: WriterLock
  /** Whether power may be cut: then what is on disk is kept apart. */
  readonly volatile: boolean
  readonly #watchers = new Set<Watcher>()

  constructor(world: Scheduler, volatile: boolean) {
    this.lock = new WriterLock(world)
    this.volatile = volatile
  }

  /** Everything that was written so far is on disk. */
  synced(): void {
    if (!this.volatile) return
    for (const part of ['', '-wal']) copyFileSync(this.path + part, `${this.path}.synced${part}`)
  }

  /** The power was cut: everything since the last sync is gone. Nobody may have the file open. */
  lose(): void {
    for (const part of ['', '-wal', '-shm']) rmSync(this.path + part, { force: true })
    for (const part of ['', '-wal']) copyFileSync(`${this.path}.synced${part}`, this.path + part)
  }

  /** Opening a file takes its lock: real ones are not waited for here. */
  async open<T>(process: Process, open: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve, reject) =>
      this.lock.take(process, resolve, () => process.reach(() => reject(fault('store.busy')))),
    )
    try {
      return await open()
    } finally {
      this.lock.give(process)
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

  forget(process: Process): void {
    for (const w of this.#watchers) if (w.process === process) this.#watchers.delete(w)
    this.lock.forget(process)
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
