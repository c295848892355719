import type { KeyRow, Store, Write } from '#adapters/stores/port.ts'
import { isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { GroupCommit } from './commit.ts'

const prefix = 'intent/'
/** Names of the intents that somebody must decide about, if nobody settles them. */
const listPrefix = 'unresolved/'
/** An intent that nobody has settled is kept for a year, as audit entries are: the message that it belongs to may be parked for long. */
const unsettledFor = 365 * 86_400_000
/** Settled intents that one process leaves behind; at a higher rate they are forgotten sooner, but not within ten minutes. */
const most = 1_000_000
const least = 600_000
const hour = 3_600_000

/** How an intent is settled. */
export type Settled = {
  /** What is known now; undefined: nobody will ask, it is removed. */
  readonly value: string | undefined
  /** Whether a person or a `verify` still has to find out what happened. */
  readonly open: boolean
  /** Whether it stands in the list of those that have to be decided, and shall. */
  readonly listed: boolean
  readonly list: boolean
}

/**
 * What is about to be sent to somebody else, written down before it goes out and settled when it has ended. So a process that
 * comes after a crash knows what was sent, and whether it was answered. A name is one call's, the same when it is made again.
 */
export class Intents {
  readonly #runtime: Runtime<Store>
  readonly #commit: GroupCommit
  readonly #keep: number
  #since: number
  #settled = 0
  #perHour = 0

  /** `keep`: milliseconds a settled intent is kept. */
  constructor(runtime: Runtime<Store>, commit: GroupCommit, keep: number) {
    this.#runtime = runtime
    this.#commit = commit
    this.#keep = keep
    this.#since = runtime.clock.mono()
  }

  /**
   * On disk when it resolves, to its version. One commit is shared by all that wait for one. `version`: that of the intent
   * which it follows, 0 when there is none; `journal.conflict` when that is not so, `journal.full` and `store.*` as ever.
   */
  async begin(name: string, version: number, value: string, list: boolean): Promise<number> {
    const now = this.#runtime.clock.now()
    const expires = now + unsettledFor
    const writes: Write[] = [{ write: 'put', name: prefix + name, value, expires }]
    if (list) writes.push({ write: 'put', name: listPrefix + name, value: '', expires })
    const guards = [{ guard: 'key', name: prefix + name, version, now }] as const
    const [stored] = await this.#commit.add({ guards, writes }, 'durable', value.length)
    return Number(stored)
  }

  find(name: string): Promise<KeyRow | null> {
    return this.#runtime.store.read({ read: 'key', name: prefix + name, now: this.#runtime.clock.now() })
  }

  /** Names of those that have to be decided, and of calls under way that no message would make again. */
  async list(): Promise<readonly string[]> {
    const rows = await this.#runtime.store.read({ read: 'keys', prefix: listPrefix, now: this.#runtime.clock.now() })
    return rows.map((r) => r.name.slice(listPrefix.length))
  }

  /**
   * Writes down what came of it, if nobody else has begun or decided it since. Not waited for by the call that has ended: a crash
   * before the commit leaves it unsettled, which is the safe side.
   */
  settle(name: string, version: number, how: Settled): void {
    this.decide(name, version, how, [], 'relaxed').catch((e: unknown) => {
      if (isFault(e, 'journal.conflict') || isFault(e, 'store.closed')) return
      this.#runtime.log.write('warn', 'journal.intent_unsettled', { intent: name, fault: e })
    })
  }

  /** As `settle`, with more writes in the same commit; `journal.conflict` when it has changed since. */
  async decide(
    name: string,
    version: number,
    { value, open, listed, list }: Settled,
    more: readonly Write[],
    sync: 'durable' | 'relaxed' = 'durable',
  ): Promise<void> {
    const now = this.#runtime.clock.now()
    const expires = now + (open ? unsettledFor : this.#keepFor())
    const writes: Write[] = [
      value === undefined
        ? { write: 'drop', name: prefix + name }
        : { write: 'put', name: prefix + name, value, expires },
    ]
    if (list && !listed) writes.push({ write: 'put', name: listPrefix + name, value: '', expires })
    if (listed && !list) writes.push({ write: 'drop', name: listPrefix + name })
    const guards = [{ guard: 'key', name: prefix + name, version, now }] as const
    await this.#commit.add({ guards, writes: [...writes, ...more] }, sync)
  }

  /** So long that at the rate of the last hour no more than `most` of this process are kept. */
  #keepFor(): number {
    const now = this.#runtime.clock.mono()
    this.#settled++
    if (now - this.#since >= hour) {
      this.#perHour = (this.#settled * hour) / (now - this.#since)
      this.#settled = 0
      this.#since = now
    }
    const perHour = Math.max(this.#perHour, this.#settled)
    return Math.ceil(Math.min(this.#keep, Math.max(least, (most / perHour) * hour)))
  }
}
