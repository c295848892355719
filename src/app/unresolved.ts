import type { Cancel, Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/fault.ts'
import type { Log } from '#kernel/log.ts'
import type { UnresolvedCall } from './operations/unresolved.ts'

/** Their side may still be at work when ours has given up. */
const grace = 5_000
/** After a `verify` that could not be asked. */
const again = 60_000
const most = 1_000

type Deps = {
  readonly clock: Clock
  readonly log: Log
  unresolved(query: { readonly limit: number }): Promise<readonly UnresolvedCall[]>
  resolveByVerify(intent: string): Promise<'happened' | 'nothing'>
}

/**
 * Finds out about the calls that a process before this one has left behind: those with a `verify`, one after the other, each when it
 * must have ended. What has none waits for a person. Several processes may do the same at once: the first one decides.
 */
export class LeftBehind {
  readonly #deps: Deps
  /** Intent → wall-clock milliseconds at which it is to be asked about. */
  readonly #due = new Map<string, number>()
  #cancel: Cancel | undefined
  #running: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Looks once; what is made from now on is this process's own. */
  async start(): Promise<void> {
    const now = this.#deps.clock.now()
    const found = await this.#deps.unresolved({ limit: most })
    const people = found.filter((c) => !c.verify && c.state === 'open').length
    if (people > 0) this.#deps.log.write('warn', 'connection.unresolved', { calls: people })
    for (const call of found) {
      if (call.verify) this.#due.set(call.intent, call.state === 'open' ? now : Date.parse(call.until) + grace)
    }
    this.#arm()
  }

  #arm(): void {
    if (this.#stopped || this.#due.size === 0) return
    const next = Math.min(...this.#due.values())
    this.#cancel = this.#deps.clock.after(Math.max(0, next - this.#deps.clock.now()), () => {
      this.#running = this.#ask().finally(() => this.#arm())
    })
  }

  async #ask(): Promise<void> {
    const { clock, log } = this.#deps
    for (const [intent, due] of this.#due) {
      if (this.#stopped) return
      if (due > clock.now()) continue
      try {
        const outcome = await this.#deps.resolveByVerify(intent)
        log.write('info', 'connection.resolved', { intent, happened: outcome === 'happened' })
        this.#due.delete(intent)
      } catch (e) {
        const decided = isFault(e, 'intent.missing') || isFault(e, 'intent.state') || isFault(e, 'journal.conflict')
        if (decided) this.#due.delete(intent)
        else this.#due.set(intent, clock.now() + again)
        if (!decided) log.write('warn', 'connection.unverifiable', { intent, fault: e })
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#running
  }
}
