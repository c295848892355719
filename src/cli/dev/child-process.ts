import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { eachLine } from './lines.ts'
import type { Order, Plan, Told } from './protocol.ts'

/** Added to the app's own time for draining before it is killed. */
const mercy = 3_000

export type Heard = {
  told(told: Told): void
  line(text: string, from: 'out' | 'err'): void
}

/** One run of the app in a process of its own. */
export class RunningApp {
  /** Its exit code, or null when a signal ended it. */
  readonly ended: Promise<number | null>
  readonly #process: ChildProcess
  #grace = 2_000

  constructor(plan: Plan, heard: Heard) {
    const entry = fileURLToPath(new URL('./child.ts', import.meta.url))
    this.#process = spawn(process.execPath, [entry, JSON.stringify(plan)], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    this.#process.on('message', (told: Told) => {
      if (told.told === 'running') this.#grace = told.grace
      heard.told(told)
    })
    eachLine(this.#process.stdout!, (text) => heard.line(text, 'out'))
    eachLine(this.#process.stderr!, (text) => heard.line(text, 'err'))
    // `close` and not `exit`: its last words are read by then.
    this.ended = new Promise((resolve) => {
      this.#process.on('close', (code) => resolve(code))
      this.#process.on('error', () => resolve(null))
    })
  }

  /** Lets it drain; kills it when that takes longer than its grace and 3 s. Resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#process.connected) this.#process.send({ order: 'stop' } satisfies Order, () => {})
    const timer = setTimeout(() => this.kill(), this.#grace + mercy)
    await this.ended
    clearTimeout(timer)
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }
}
