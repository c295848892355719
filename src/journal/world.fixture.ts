import type { Outcome, Read, Store, StoreCan, StoreTransaction, Sync, Unit } from '#adapters/stores/port.ts'
import { openStore } from '#adapters/stores/sqlite/open.fixture.ts'
import type { Fault } from '#kernel/fault.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { settle, virtualClock, type VirtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { Journal, type JournalOptions } from './journal.ts'
import type { Draft } from './log.ts'
import type { Run } from './run.ts'
import type { SubscriptionOptions } from './subscription.ts'

type Answer = Promise<readonly Outcome[]>

/** A store whose calls a test may refuse, delay or answer wrongly; all else is the real one in memory. */
export class HookedStore implements Store {
  readonly inner: Store
  can: StoreCan
  onCommit: ((units: readonly Unit[], sync: Sync, go: () => Answer) => Answer) | undefined
  onRead: ((query: Read, go: () => Promise<unknown>) => Promise<unknown>) | undefined
  /** Ends a transaction: `go` commits it. */
  onTransactionCommit: ((go: () => Answer) => Answer) | undefined
  readonly watchers = new Set<Parameters<Store['watch']>[0]>()

  constructor(inner: Store) {
    this.inner = inner
    this.can = inner.can
  }

  commit(units: readonly Unit[], sync: Sync): Answer {
    const go = (): Answer => this.inner.commit(units, sync)
    return this.onCommit ? this.onCommit(units, sync, go) : go()
  }

  read: Store['read'] = (query) => {
    const go = () => this.inner.read(query)
    // The hook answers with what `go` gave, or rejects.
    return (this.onRead ? this.onRead(query, go) : go()) as ReturnType<typeof go>
  }

  async begin(limit: number): Promise<StoreTransaction> {
    const inner = await this.inner.begin(limit)
    const commit = (units: readonly Unit[]): Answer => {
      const go = (): Answer => inner.commit(units)
      return this.onTransactionCommit ? this.onTransactionCommit(go) : go()
    }
    return { query: (s) => inner.query(s), commit, rollback: () => inner.rollback() }
  }

  watch(changed: Parameters<Store['watch']>[0]): () => void {
    this.watchers.add(changed)
    return () => void this.watchers.delete(changed)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.inner[Symbol.asyncDispose]()
  }
}

export type Line = { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }

/** Everything a journal needs, in a world of its own. */
export async function runtimeOf(
  options: { readonly pid?: number; readonly store?: HookedStore; readonly clock?: VirtualClock } = {},
): Promise<
  Runtime<HookedStore> & { readonly clock: VirtualClock; readonly logged: Line[]; readonly alive: Set<number> }
> {
  const clock = options.clock ?? virtualClock()
  const random = seededRandom(options.pid ?? 1)
  const logged: Line[] = []
  const alive = new Set([1, 2, 3])
  const store = options.store ?? new HookedStore(await openStore(':memory:', clock))
  const refuse = (): never => {
    throw new Error('nothing of this is used here')
  }
  return {
    clock,
    random,
    store,
    logged,
    alive,
    ids: uuid7(clock, random),
    http: { send: refuse, stream: refuse },
    files: { read: refuse, stat: refuse },
    secrets: { read: refuse },
    redact: redactor(),
    log: { write: (_level, event, fields = {}) => void logged.push({ event, fields }) },
    host: { name: 'here', pid: options.pid ?? 1, alive: (pid) => alive.has(pid) },
  }
}

export type Handle = (run: Run) => ReturnType<SubscriptionOptions['handle']>

/** A subscription as the journal takes it; its defaults are small and quick. */
export function reader(handle: Handle, more: Partial<SubscriptionOptions> = {}): SubscriptionOptions {
  return {
    name: 'reader',
    topic: 'things',
    from: 'beginning',
    concurrency: 10,
    batch: 0,
    timeout: 30_000,
    retry: { attempts: 3, delay: () => 1_000 },
    parkedLimit: 10_000,
    handle,
    ...more,
  }
}

export type JournalWorld = {
  readonly runtime: Awaited<ReturnType<typeof runtimeOf>>
  readonly store: HookedStore
  readonly clock: VirtualClock
  readonly journal: Journal
  /** Appends messages in one commit, without keys. */
  publishAll(data: readonly unknown[]): Promise<void>
  /** Appends a message; its body is JSON of `data`. */
  publish(data: unknown, options?: Partial<Draft>): Promise<{ readonly offset: number; readonly duplicate: boolean }>
  settle(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A journal over one topic `things` with one partition, started. */
export async function journalWorld(
  subscriptions: readonly SubscriptionOptions[],
  options: {
    readonly partitions?: number
    readonly runtime?: JournalWorld['runtime']
    readonly journal?: Partial<JournalOptions>
  } = {},
): Promise<JournalWorld> {
  const runtime = options.runtime ?? (await runtimeOf())
  const journal = new Journal(runtime, {
    topics: [{ topic: 'things', partitions: options.partitions ?? 1, age: 7 * 86_400_000, compact: false }],
    subscriptions,
    records: { calls: 86_400_000, audit: 86_400_000, seen: 7 * 86_400_000 },
    ...options.journal,
  })
  await journal.open()
  await journal.start()
  await settle()
  return {
    runtime,
    store: runtime.store,
    clock: runtime.clock,
    journal,
    async publishAll(data) {
      const topic = journal.log.topic('things')
      const draft = { key: null, meta: null, dedupe: 0 }
      await journal.log.append(
        data.map((d) => journal.log.entry(topic, { ...draft, id: runtime.ids.next(), body: JSON.stringify(d) })),
      )
    },
    async publish(data, draft = {}) {
      const topic = journal.log.topic('things')
      const entry = journal.log.entry(topic, {
        id: runtime.ids.next(),
        key: null,
        meta: null,
        body: JSON.stringify(data),
        dedupe: 0,
        ...draft,
      })
      const [appended] = await journal.log.append([entry])
      return appended!
    },
    settle,
    async [Symbol.asyncDispose]() {
      const stopped = journal.stop(0)
      await runtime.clock.advance(10_000)
      await stopped
      await runtime.store[Symbol.asyncDispose]()
    },
  }
}

/** The data of the first message of a run. */
export function dataOf(run: Run): unknown {
  return JSON.parse(String(run.messages[0]!.body)) as unknown
}

/** A promise and the way to end it. */
export function gate(): { readonly opened: Promise<void>; open(): void; fail(e: Fault | Error): void } {
  let open: () => void = () => {}
  let fail: (e: Error) => void = () => {}
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { opened, open: () => open(), fail: (e) => fail(e) }
}
