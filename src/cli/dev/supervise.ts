import { RunningApp, type Heard } from './child-process.ts'
import type { Plan } from './protocol.ts'

export type Wish = 'change' | 'stop'

export type Watched = Heard & {
  phase(phase: 'starting' | 'stopping' | 'stopped', code?: number | null): void
}

/**
 * Runs the app, again after each change, until it is told to stop. When the app ends by itself (a broken edit, a crash) it
 * is not started again before the next change: a loop of crashes would hide its reason.
 */
export class Supervisor {
  readonly #plan: Plan
  readonly #watched: Watched
  #wish: Wish | undefined
  #wake: () => void = () => {}
  #running: RunningApp | undefined

  constructor(plan: Plan, watched: Watched) {
    this.#plan = plan
    this.#watched = watched
  }

  /** A change while one is under way is one more restart after it; stopping wins over changes. */
  wish(wish: Wish): void {
    if (this.#wish !== 'stop') this.#wish = wish
    this.#wake()
  }

  /** Ends the app at once. */
  kill(): void {
    this.#running?.kill()
  }

  async run(): Promise<void> {
    for (;;) {
      this.#watched.phase('starting')
      const app = (this.#running = new RunningApp(this.#plan, this.#watched))
      const ended = await Promise.race([app.ended.then((code) => ({ code })), this.#wished()])
      if (ended === undefined) {
        this.#watched.phase('stopping')
        await app.stop()
      } else {
        this.#watched.phase('stopped', ended.code)
        await this.#wished()
      }
      const wish = this.#wish
      this.#wish = undefined
      if (wish === 'stop') return
    }
  }

  /** Resolves when something is wished; at once when something was. */
  #wished(): Promise<undefined> {
    if (this.#wish !== undefined) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      this.#wake = () => resolve(undefined)
    })
  }
}
