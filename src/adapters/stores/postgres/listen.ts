import type { Cancel, Clock } from '#kernel/clock.ts'
import type { Head } from '../port.ts'
import type { Connector } from './connect.ts'
import type { Session } from './session.ts'

/** The net under the notices: how often we look although nobody has said anything. */
const lookEvery = 1_000
/** Bytes of a notice: PostgreSQL takes less than 8,000. */
const noticeLimit = 7_000

type Changed = (heads?: readonly Head[]) => void

/**
 * Tells other processes what was committed, and hears it from them (LISTEN, NOTIFY), on a connection of its own: a notice
 * inside a transaction makes all commits of the database queue up behind one lock (measured: 3.5 times fewer). One notice is
 * under way at a time and carries the heads that moved meanwhile. Nothing depends on notices: they may be lost.
 */
export class Listener {
  readonly #connector: Connector
  readonly #clock: Clock
  readonly #watchers = new Set<Changed>()
  #session: Promise<Session> | undefined
  #cancel: Cancel | undefined
  #closed = false
  /** Heads that nobody was told yet. */
  readonly #heads = new Map<number, number>()
  #look = false
  #telling = false
  /** Whether, when they were last counted, anybody else was there to be told. */
  #others = true
  #counted = Number.NEGATIVE_INFINITY

  constructor(connector: Connector, clock: Clock) {
    this.#connector = connector
    this.#clock = clock
  }

  watch(changed: Changed): () => void {
    if (this.#closed) return () => {}
    this.#watchers.add(changed)
    void this.#connect()
    this.#arm()
    return () => {
      this.#watchers.delete(changed)
      if (this.#watchers.size > 0) return
      this.#cancel?.()
      this.#cancel = undefined
    }
  }

  #arm(): void {
    this.#cancel ??= this.#clock.after(lookEvery, () => {
      this.#cancel = undefined
      this.#arm()
      this.#all()
      this.#count()
    })
  }

  #all(heads?: readonly Head[]): void {
    for (const w of this.#watchers) w(heads)
  }

  /** Who works here: without others nobody has to be told. At most once a second. */
  #count(): void {
    if (this.#clock.mono() - this.#counted < lookEvery) return
    this.#counted = this.#clock.mono()
    this.#connect()
      .then((s) => s?.query('select count(*) from fl_workers', undefined, 'workers'))
      .then((rows) => {
        if (!rows) return
        this.#others = Number(rows[0]?.[0]) > (this.#watchers.size > 0 ? 1 : 0)
        this.#speak()
      })
      .catch(() => {})
  }

  /** Undefined when it cannot be had at the moment: the next look tries again. */
  #connect(): Promise<Session | undefined> {
    if (this.#closed) return Promise.resolve(undefined)
    this.#session ??= this.#open()
    return this.#session.catch(() => undefined)
  }

  async #open(): Promise<Session> {
    try {
      const session = await this.#connector.connect('ours', 0)
      session.onLost = () => (this.#session = undefined)
      session.onNotification = (n) => {
        if (n.processId !== session.pid) this.#all(headsOf(n.payload ?? ''))
      }
      await session.query(`listen "${channelOf(this.#connector.settings.schema)}"`)
      // Something may have been said before we listened.
      this.#all()
      if (this.#closed) await session.close()
      return session
    } catch (e) {
      this.#session = undefined
      throw e
    }
  }

  /** Heads that moved; `look`: something else that others should see has changed. */
  tell(heads: readonly Head[], look: boolean): void {
    if (this.#closed) return
    for (const h of heads) this.#heads.set(h.slot, Math.max(h.next, this.#heads.get(h.slot) ?? 0))
    this.#look ||= look
    this.#speak()
    this.#count()
  }

  #speak(): void {
    if (this.#others && !this.#telling && (this.#heads.size > 0 || this.#look)) void this.#tellAll()
  }

  async #tellAll(): Promise<void> {
    this.#telling = true
    try {
      while (this.#heads.size > 0 || this.#look) {
        const session = await this.#connect()
        const heads = [...this.#heads]
        const text = JSON.stringify(heads)
        const payload = this.#look || text.length > noticeLimit ? '' : text
        this.#heads.clear()
        this.#look = false
        await session?.query(
          'select pg_notify($1, $2)',
          [channelOf(this.#connector.settings.schema), payload],
          'notify',
        )
      }
    } catch {
      // Whoever was to hear it looks around within a second anyway.
    } finally {
      this.#telling = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel?.()
    this.#watchers.clear()
    const session = await this.#session?.catch(() => undefined)
    await session?.close()
  }
}

function channelOf(schema: string): string {
  return `fairlead_${schema}`
}

/** Undefined: look at everything. Others may write to the channel too. */
function headsOf(payload: string): readonly Head[] | undefined {
  try {
    const pairs: unknown = JSON.parse(payload)
    if (!Array.isArray(pairs)) return undefined
    const heads = pairs.map((p: unknown) =>
      Array.isArray(p) ? { slot: Number(p[0]), next: Number(p[1]) } : { slot: -1, next: Number.NaN },
    )
    return heads.every((h) => Number.isSafeInteger(h.slot) && Number.isSafeInteger(h.next)) ? heads : undefined
  } catch {
    return undefined
  }
}
