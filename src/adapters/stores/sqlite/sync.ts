import { closeSync, fdatasync, openSync } from 'node:fs'
import { fault, type Fault } from '#kernel/fault.ts'

/**
 * Makes commits durable without stopping the event loop: SQLite writes its frames to the WAL (synchronous = normal), we
 * sync that file in a thread and answer afterwards. One sync covers every commit that was written before it began, so
 * while one is under way the next is already collecting.
 *
 * The guarantee is that of synchronous = full, which does the same sync inside the commit: a power cut keeps a prefix of
 * the WAL's frames that contains everything synced, each frame checksummed. After a failed sync nothing is known about
 * the pages (the kernel may have dropped them), so every later answer is refused until the file is opened again. Also when
 * it was for want of space: making room does not bring the pages back.
 */
export class WalSync {
  readonly #path: string
  readonly #fd: number
  #waiting: { resolve: () => void; reject: (e: unknown) => void }[] = []
  #running = false
  #broken: Fault | undefined

  constructor(path: string) {
    this.#path = path
    this.#fd = openSync(`${path}-wal`, 'r+')
  }

  /** Resolves when everything written to the WAL before this call is on disk. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken)
      this.#waiting.push({ resolve, reject })
      if (!this.#running) this.#run()
    })
  }

  /** Throws once a sync has failed: what is written behind pages that may be lost can itself not be kept. */
  assertSound(): void {
    if (this.#broken) throw this.#broken
  }

  #run(): void {
    const covered = this.#waiting
    this.#waiting = []
    this.#running = true
    fdatasync(this.#fd, (e) => {
      this.#running = false
      if (e) this.#broken = fault('store.broken', { cause: e, detail: { path: this.#path } })
      for (const w of covered) {
        if (this.#broken) w.reject(this.#broken)
        else w.resolve()
      }
      if (this.#broken) for (const w of this.#waiting.splice(0)) w.reject(this.#broken)
      else if (this.#waiting.length > 0) this.#run()
    })
  }

  close(): void {
    closeSync(this.#fd)
  }
}
