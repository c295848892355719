import type { Entry, Store } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { GroupCommit } from './commit.ts'
import type { Log } from './log.ts'

/** Delayed messages moved into the log by one commit. */
const perCommit = 500
/** After messages were handed over in somebody else's transaction: first and longest pause between looks, and for how long. */
const firstLook = 2
const longestLook = 1_000
const lookFor = 30_000

/**
 * Messages that appear later: durable from the moment they are accepted, appended to the log when due. Append and removal
 * from the due index are one transaction, so each appears once, whichever process of the fleet is first.
 */
export class Delays {
  readonly #runtime: Runtime<Store>
  readonly #commit: GroupCommit
  readonly #log: Log
  #cancel: Cancel | undefined
  #at = Number.POSITIVE_INFINITY
  #stopped = false
  #lookUntil = 0
  #cancelLook: Cancel | undefined

  constructor(runtime: Runtime<Store>, commit: GroupCommit, log: Log) {
    this.#runtime = runtime
    this.#commit = commit
    this.#log = log
  }

  async add(entry: Entry, due: number): Promise<void> {
    await this.#commit.add({ writes: [{ write: 'delay', due, entry }] }, 'durable', entry.body.length)
    this.expect(due)
  }

  /**
   * Somebody else's transaction, which nobody tells us the end of, has messages for us: looks for them at once, then ever
   * more rarely, for 30 s. Later ones, and those of a process that has ended, are found by whoever looks around next.
   */
  handedOver(): void {
    this.#lookUntil = this.#runtime.clock.mono() + lookFor
    this.#cancelLook?.()
    this.#hunt(firstLook)
  }

  #hunt(pause: number): void {
    if (this.#stopped || this.#runtime.clock.mono() > this.#lookUntil) return
    this.#cancelLook = this.#runtime.clock.after(pause, () => {
      this.look()
        .catch(() => {})
        .finally(() => this.#hunt(Math.min(longestLook, pause * 2)))
    })
  }

  /** Looks for the earliest and arms the timer. */
  async look(): Promise<void> {
    const next = await this.#runtime.store.read({ read: 'nextDelayed' })
    if (next !== null) this.expect(next)
  }

  /** Arms the timer for a message that is due at `due`. */
  expect(due: number): void {
    if (this.#stopped || due >= this.#at) return
    this.#cancel?.()
    this.#at = due
    // Never asleep for more than a minute: the wall clock may be moved.
    this.#cancel = this.#runtime.clock.after(Math.min(60_000, Math.max(0, due - this.#runtime.clock.now())), () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#fire().catch((e: unknown) => {
        if (isFault(e, 'store.closed')) return
        this.#runtime.log.write('warn', 'journal.delays_failed', { fault: e })
        this.expect(this.#runtime.clock.now() + 1_000)
      })
    })
  }

  async #fire(): Promise<void> {
    for (let more = true; more && !this.#stopped;) {
      const [moved] = await this.#commit.add(
        { writes: [{ write: 'fire', now: this.#runtime.clock.now(), limit: perCommit }] },
        'durable',
      )
      // Also when nothing was moved: an earlier commit may have landed without an answer.
      await this.#log.refresh()
      more = Number(moved) === perCommit
    }
    await this.look()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    this.#cancelLook?.()
  }
}
