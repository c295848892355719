import type { SecretsAdapter } from '#adapters/secrets/port.ts'
import type { Store, StoreAdapter, Write } from '#adapters/stores/port.ts'
import type { Call, Each, Joined, JoinStatement, Poll, Publish, Transaction } from '#kernel/context.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import { checkOptions, type Problem } from '#kernel/definition.ts'
import { isFault } from '#kernel/fault.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import type { Door, HttpOut } from '#kernel/http.ts'
import type { Log } from '#kernel/log.ts'
import type { Position } from '#kernel/message.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Secrets } from '#kernel/secret.ts'
import { Journal } from '#journal/journal.ts'
import { tokenKeyProblem } from '#patterns/connections/auth/oauth/key-problem.ts'
import { Fleet } from '#patterns/connections/fleet/fleet.ts'
import { laterOf } from '#patterns/connections/later/later.ts'
import { openConnection, type OpenConnection } from '#patterns/connections/run.ts'
import { subscriptionRunner } from '#patterns/topics/run.ts'
import { openCertificates, type ConnectionTls } from './certificates.ts'
import { topicChanges } from './changes.ts'
import { driftKeep } from './drift.ts'
import { collectWithDocuments, configFault, type Definitions, type Use } from './collect.ts'
import { RunContext } from './context.ts'
import { HealthMonitor, type Health } from './health.ts'
import { lazyClient } from './http/lazy-client.ts'
import type { Trusting } from './http/client-socket.ts'
import { laterRunner, laterTopics } from './later.ts'
import { serve } from './http/fetch.ts'
import { listen, type Listening } from './http/server.ts'
import { inbox, inboxDoor, routing } from './inbox.ts'
import { jsonLog } from './log.ts'
import { operations, type Operations } from './operations/index.ts'
import { ScopeUse } from './scope-use.ts'
import { systemClock, systemFiles, systemRuntime } from './runtime.ts'
import { openSecrets, trustOfSource } from './secrets.ts'
import { LeftBehind } from './unresolved.ts'
import { appVerbs, plain, Verbs, verbsAsOthers } from './verbs.ts'

export type Options = {
  /** Definitions and modules of them. */
  readonly use: Use
  /** Where the journal is kept: `sqlite(path)`. Absent: in memory, gone at the end; right for connections alone and for trying out. */
  readonly store?: StoreAdapter
  /** Where secrets are read: `fileSecrets(…)`, `vaultSecrets(…)` …, or your own. Default: environment variables. */
  readonly secrets?: SecretsAdapter | Secrets
  /** Default: one masked JSON line an event on standard error, from `info` up. */
  readonly log?: Log
  /** How long running handlers may take to end when the app stops. Default 10 s. */
  readonly grace?: Duration
  /** How long call records and audit entries are kept. Defaults 7 days and 1 year. */
  readonly records?: { readonly calls?: Duration; readonly audit?: Duration }
  /** false: look and operate, but lease nothing and handle nothing. What the command line uses beside a running app. */
  readonly work?: boolean
}

/** What a test or a simulation replaces; everything else of `Runtime` stays real. */
export type World = Partial<Omit<Runtime, 'store'>> & {
  /** Stands between the connections and what sends. */
  readonly around?: (http: HttpOut) => HttpOut
}

export interface App {
  readonly publish: Publish
  /** Many messages in one commit: all, or none when one is not valid. */
  publishMany<Input>(topic: TopicHandle<Input>, items: readonly Input[]): Promise<readonly Position[]>
  readonly call: Call
  readonly each: Each
  readonly poll: Poll
  /** Your own rows and messages in one transaction, or neither. At most 5 s; make calls to others before it. */
  transact<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /**
   * Publishes in a transaction that your own client has opened on the store's database, whatever it is: rows and messages
   * commit together or not at all. `run` executes one statement in it.
   *
   * With pg: `app.join((s) => client.query(s.text, [...s.values]))`; with Kysely:
   * `app.join((s) => trx.executeQuery(CompiledQuery.raw(s.text, [...s.values])))`; with Drizzle:
   * `app.join((s) => tx.execute(sql(s.parts, ...s.values)))`. Refused with `store.transaction` where nobody else can open
   * the store (in memory). The connection's role needs to insert into the store's `fl_delayed`.
   */
  join(run: (statement: JoinStatement) => unknown): Joined
  /** The whole web contract as one function: webhooks, `/healthz`, `/readyz`. Mounts anywhere. */
  fetch(request: Request): Promise<Response>
  /** Serves the same over Node's own server, on 127.0.0.1 unless told otherwise. Port 0 takes a free one. */
  listen(options: {
    readonly port: number
    readonly host?: string
  }): Promise<{ readonly url: string; readonly port: number }>
  health(): Health
  readonly operations: Operations
  readonly definitions: Definitions
  /** Runs until the signal is aborted, or SIGTERM or SIGINT comes; then drains and disposes. */
  run(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Drains: no new work, running handlers may end within `grace`, cursors are saved, leases given back. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>
}

const names = ['use', 'store', 'secrets', 'log', 'grace', 'records', 'work']

/**
 * Brings definitions to life: collects them, checks everything (all problems at once, `config.invalid`, nothing started),
 * opens and migrates the store, connects what belongs together, and begins to work. Dispose it: it drains, saves its
 * cursors and gives its leases back; after a crash the next start repeats what was in flight.
 *
 * @example
 * await using app = await fairlead({ store: sqlite('./data/fairlead.db'), use: [orders, payments] })
 * await app.run()
 */
export async function fairlead(options: Options, given: World = {}): Promise<App> {
  const { around = (http: HttpOut) => http, ...world } = given
  const files = world.files ?? systemFiles
  const { definitions, problems } = await collectWithDocuments(options?.use, files)
  const wrong = [...checkOptions('fairlead', options, names), ...problems]
  if (wrong.length > 0) throw configFault(wrong)
  const certificates = new Map<string, ConnectionTls>()
  const trust = (pool: string): Trusting | undefined => {
    const own = certificates.get(pool)
    if (own) return own
    return certificates.get(pool.replace(/\/token$/, ''))?.tokens ?? trustOfSource(options.secrets, pool)
  }
  const client = world.http === undefined ? lazyClient({ clock: world.clock ?? systemClock, trust }) : undefined
  const system = systemRuntime({
    http: world.http ?? client!,
    log: options.log ?? jsonLog(),
  })
  const known = { ...system, ...world }
  let close = async (): Promise<void> => client?.close()
  try {
    // Asked past `around`: what unlocks everything else is nobody's to record or to make fail.
    const opened = await openSecrets(world.secrets ?? options.secrets, known)
    // In this order: a source gives back over the client what it had leased.
    close = async () => {
      for (const tls of certificates.values()) tls.close()
      await opened.close()
      await client?.close()
    }
    const outside = { ...known, http: around(known.http), secrets: opened.secrets }
    await readSecrets(definitions, outside, options.work !== false)
    if (client) await openCertificates(certificates, definitions, outside, options.work !== false)
    const store = await (options.store ?? (await inMemory())).open(outside)
    try {
      return await start(options, definitions, { ...outside, store }, certificates, close)
    } catch (e) {
      await store[Symbol.asyncDispose]()
      throw e
    }
  } catch (e) {
    await close()
    throw e
  }
}

async function inMemory(): Promise<StoreAdapter> {
  const { sqlite } = await import('#adapters/stores/sqlite/index.ts')
  return sqlite(':memory:')
}

/** Reads every secret once: from now on none can be printed. A missing one stops the start of an app that works with it. */
async function readSecrets(definitions: Definitions, runtime: Omit<Runtime, 'store'>, needed: boolean): Promise<void> {
  const problems: Problem[] = []
  for (const name of definitions.secrets) {
    try {
      for (const value of await runtime.secrets.read(name)) runtime.redact.learn(value.reveal())
    } catch (e) {
      problems.push({ path: `secret(${name})`, message: isFault(e) ? e.message : 'cannot be read', fix: `set ${name}` })
    }
  }
  for (const { name, options } of definitions.connections.values()) {
    const message = problems.length === 0 ? await tokenKeyProblem(options.auth, runtime.secrets) : undefined
    if (message !== undefined)
      problems.push({ path: `connection(${name}).auth.tokenKey`, message, fix: 'openssl rand -base64 32' })
  }
  if (needed && problems.length > 0) throw configFault(problems)
}

async function start(
  options: Options,
  definitions: Definitions,
  runtime: Runtime<Store>,
  certificates: ReadonlyMap<string, ConnectionTls>,
  closeOutside: () => Promise<void>,
): Promise<App> {
  const { subscriptions, webhooks } = definitions
  const laters = [...definitions.connections.values()].filter((c) => laterOf(c) !== undefined)
  const topics = new Map([...definitions.topics, ...laterTopics(laters)])
  const grace = milliseconds(options.grace ?? '10s')
  const dedupes = [...topics.values(), ...webhooks.values()].map((d) => milliseconds(d.dedupe))
  const journal: Journal = new Journal(runtime, {
    topics: [
      ...[...topics.values()].map((t) => ({
        topic: t.name,
        partitions: t.partitions,
        age: milliseconds(t.keep),
        compact: t.compact,
      })),
      ...[...webhooks.values()].map(inbox),
    ],
    subscriptions: [
      ...[...webhooks.values()].map((w) =>
        routing(
          w,
          runtime,
          () => journal,
          () => verbs,
        ),
      ),
      ...laters.map((c) => laterRunner(c, () => verbs)),
      ...[...subscriptions.values()].map((s) =>
        subscriptionRunner(s, (run, of, message) => new RunContext(run, of, message, verbs, runtime)),
      ),
    ],
    records: {
      calls: milliseconds(options.records?.calls ?? '7d'),
      audit: milliseconds(options.records?.audit ?? '365d'),
      seen: Math.max(86_400_000, ...dedupes),
    },
  })
  const connections = new Map<string, OpenConnection>()
  const scoped = new Set(
    [...definitions.connections.values()].filter((d) => d.options.auth?.kind === 'oauth').map((d) => d.name),
  )
  const scopeUse = new ScopeUse(journal.keys)
  const fleet = fleetOf(options, runtime, journal)
  for (const def of definitions.connections.values()) {
    connections.set(
      def.name,
      openConnection(def, {
        runtime,
        ...(fleet ? { fleet } : {}),
        keys: journal.keys,
        others: verbsAsOthers(() => verbs),
        intents: { store: journal.intents, unbound: options.store !== undefined },
        recovered: () => {
          journal.release(def.name).catch((e: unknown) => {
            // They are due within a minute all the same.
            if (!isFault(e, 'store.closed'))
              runtime.log.write('warn', 'connection.release', { connection: def.name, fault: e })
          })
        },
        authorized: async (by) => {
          await journal.commit.add({ writes: [authorized(def.name, by, runtime)] }, 'durable')
        },
        drift: driftKeep(journal, runtime, (to, drift) => verbs.publish(to, drift, {}, plain)),
        endings: journal.keys,
        // Who only looks is not told what others publish.
        ...(options.work === false ? {} : { changes: topicChanges(journal.log) }),
        record: (call) => {
          if (scoped.has(def.name)) scopeUse.called(call.connection, call.operation, runtime.clock.now())
          journal.calls.add({
            time: runtime.clock.now(),
            connection: call.connection,
            operation: call.operation,
            outcome: call.outcome,
            record: () => JSON.stringify(call),
          })
        },
      }),
    )
  }
  const verbs = new Verbs(runtime, journal, topics, connections)
  const health = new HealthMonitor(runtime.clock, journal)
  const counts: Counts = new Map()
  const requests: Counts = new Map()
  const webhookDoors = [...webhooks.values()].map((w) =>
    inboxDoor(w, runtime, journal, (outcome) => count(counts, w.name, outcome)),
  )
  const authorizationDoors = [...connections.values()].flatMap((c) => c.authorization?.doors() ?? [])
  const doors = [...webhookDoors, ...authorizationDoors, ...healthDoors(health)]
  const http = {
    clock: runtime.clock,
    log: runtime.log,
    redact: runtime.redact,
    count: (door: string, status: number, code: string) => count(requests, door || 'http', code || String(status)),
  }
  const listening = new Set<Listening>()
  const fetch = serve(doors, http)

  const operators = operations({
    runtime,
    journal,
    definitions: { ...definitions, topics },
    connections,
    certificates,
    counts,
    requests,
    health,
    scopeUse,
    by: nameOf(runtime),
  })
  const leftBehind = new LeftBehind({ ...operators, clock: runtime.clock, log: runtime.log })

  try {
    await journal.open()
    if (options.work !== false) {
      await Promise.all(webhookDoors.map((d) => d.refresh()))
      await fleet?.start()
      await journal.start()
      if (options.store !== undefined && connections.size > 0) await leftBehind.start()
    }
  } catch (e) {
    // Some of it may be at work already: handlers running, timers armed, leases taken.
    await leftBehind.stop()
    await journal.stop(0)
    await fleet?.stop()
    throw e
  }
  if (options.work !== false) health.start()

  let disposed: Promise<void> | undefined
  const dispose = async (): Promise<void> => {
    health.draining = true
    verbs.drain()
    await Promise.all([...listening].map((l) => l.close(grace)))
    await leftBehind.stop()
    await Promise.all([...connections.values()].map((c) => c.save()))
    await journal.stop(grace)
    health.stop()
    for (const c of connections.values()) c.close()
    await fleet?.stop()
    await runtime.store[Symbol.asyncDispose]()
    await closeOutside()
  }
  const app: App = {
    ...appVerbs(verbs),
    publishMany: async (topic, items) => {
      verbs.assertOpen()
      return verbs.publishMany(topic, items)
    },
    transact: async (work) => {
      verbs.assertOpen()
      return verbs.transact(work)
    },
    join: (run) => verbs.join(run),
    fetch,
    listen: async (at) => {
      const server = await listen(doors, { ...http, ...at })
      listening.add(server)
      return { url: server.url, port: server.port }
    },
    health: () => health.read(),
    operations: operators,
    definitions,
    run: ({ signal } = {}) => runUntil(signal, () => app[Symbol.asyncDispose]()),
    [Symbol.asyncDispose]: (): Promise<void> => (disposed ??= dispose()),
  }
  return app
}

/** Who made the link stands in the trail, and that it was used. */
function authorized(connection: string, by: string, runtime: Runtime<Store>): Write {
  const detail = JSON.stringify(runtime.redact.value({ by }))
  return { write: 'audit', time: runtime.clock.now(), verb: 'authorized', subject: `connection/${connection}`, detail }
}

/** Where nobody else can reach the store, or we only look, everything is of this process. */
function fleetOf(options: Options, runtime: Runtime<Store>, journal: Journal): Fleet | undefined {
  const { store } = runtime
  if (store.can.shared === 'process' || options.work === false) return undefined
  const watch = (changed: () => void): (() => void) =>
    store.watch((heads) => {
      if (heads === undefined) changed()
    })
  return new Fleet({ runtime, keys: journal.keys, watch })
}

function nameOf({ host }: Runtime): string {
  return `process ${host.pid} on ${host.name}`
}

/** What → outcome → how often. */
type Counts = Map<string, Map<string, number>>

function count(counts: Counts, what: string, outcome: string): void {
  const of = counts.get(what) ?? new Map<string, number>()
  counts.set(what, of.set(outcome, (of.get(outcome) ?? 0) + 1))
}

function healthDoors(health: HealthMonitor): Door[] {
  // No details on a public listener: what is wrong is for operators (`fairlead status`), not for strangers.
  const door = (name: string, path: string, well: () => boolean): Door => ({
    name,
    methods: ['GET', 'HEAD'],
    path,
    maxBytes: 0,
    handle: () =>
      Promise.resolve(
        well()
          ? { status: 200, body: 'ok\n', headers: { 'content-type': 'text/plain' } }
          : { status: 503, body: 'not ok\n', headers: { 'content-type': 'text/plain', 'retry-after': '5' } },
      ),
  })
  return [door('healthz', '/healthz', () => health.read().live), door('readyz', '/readyz', () => health.read().ready)]
}

/** The first SIGTERM or SIGINT begins the drain; a second one ends the process the way the system would. */
async function runUntil(signal: AbortSignal | undefined, dispose: () => Promise<void>): Promise<void> {
  let stop: () => void = () => {}
  const asked = new Promise<void>((resolve) => (stop = resolve))
  const keepAlive = setInterval(() => {}, 2 ** 30)
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    if (!signal?.aborted) await asked
  } finally {
    process.off('SIGTERM', stop)
    process.off('SIGINT', stop)
    signal?.removeEventListener('abort', stop)
    await dispose()
    clearInterval(keepAlive)
  }
}
