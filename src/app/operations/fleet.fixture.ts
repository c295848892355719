import type { Store } from '#adapters/stores/port.ts'
import { openStore } from '#adapters/stores/sqlite/open.fixture.ts'
import type { HttpOut } from '#kernel/http.ts'
import { uuid7 } from '#kernel/id.ts'
import { fairlead, type App } from '../fairlead.ts'
import { settle, virtualClock, type VirtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import { ScriptedHttp } from '#testing/replies.ts'

export type Fleet = {
  readonly clock: VirtualClock
  readonly http: ScriptedHttp
  /** What every process reads and writes; a test may look into it. */
  readonly store: Store
  /** A process that works on the store. */
  worker(use: readonly unknown[]): Promise<App>
  /** A process that operates beside them, as the command line does. It works nothing. */
  operator(use: readonly unknown[]): Promise<App>
  /** Ends a process in good order. */
  stop(app: App): Promise<void>
  /** Whether the process hears of what the others commit. */
  deaf(app: App, deaf: boolean): void
  /** Lets `promise` settle, moving time as far as it needs. */
  finish<T>(promise: Promise<T>): Promise<T>
  [Symbol.asyncDispose](): Promise<void>
}

/** Several processes on one store, under one virtual clock: each hears of the commits of the others. */
export async function fleet(): Promise<Fleet> {
  const clock = virtualClock()
  const store = await openStore(':memory:', clock)
  const http = new ScriptedHttp(clock)
  const watchers = new Map<() => void, object>()
  const running = new Map<App, object>()
  const deaf = new Set<object>()
  let pid = 0
  const view = (me: object): Store => {
    const told = async <T>(committed: Promise<T>): Promise<T> => {
      const result = await committed
      for (const [changed, who] of watchers) if (who !== me && !deaf.has(who)) changed()
      return result
    }
    return {
      can: { ...store.can, shared: 'machine' },
      commit: (units, sync) => told(store.commit(units, sync)),
      read: (query) => store.read(query),
      begin: async (limit) => {
        const inner = await store.begin(limit)
        return {
          query: (statement) => inner.query(statement),
          commit: (units) => told(inner.commit(units)),
          rollback: () => inner.rollback(),
        }
      },
      watch: (changed) => {
        const told = (): void => changed()
        watchers.set(told, me)
        return () => void watchers.delete(told)
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }
  const start = async (use: readonly unknown[], work: boolean, send: HttpOut): Promise<App> => {
    const random = seededRandom(++pid)
    const me = {}
    const app = await fairlead(
      { use, work, store: { kind: 'shared', open: () => Promise.resolve(view(me)) }, log: { write: () => {} } },
      {
        clock,
        random,
        ids: uuid7(clock, random),
        http: send,
        host: { name: 'here', pid, alive: () => true },
      },
    )
    running.set(app, me)
    await settle()
    return app
  }
  const finish = async <T>(promise: Promise<T>): Promise<T> => {
    let ended = false
    const end = (): void => void (ended = true)
    promise.then(end, end)
    for (let i = 0; i < 10_000 && !ended; i++) {
      await settle()
      if (!ended) await clock.advance(50)
    }
    return promise
  }
  const stop = async (app: App): Promise<void> => {
    running.delete(app)
    await finish(app[Symbol.asyncDispose]())
  }
  return {
    clock,
    http,
    store,
    worker: (use) => start(use, true, http),
    operator: (use) => start(use, false, http),
    stop,
    finish,
    deaf(app, now) {
      const me = running.get(app)!
      if (now) deaf.add(me)
      else {
        deaf.delete(me)
        for (const [changed, who] of watchers) if (who === me) changed()
      }
    },
    async [Symbol.asyncDispose]() {
      for (const app of running.keys()) await stop(app)
      await store[Symbol.asyncDispose]()
    },
  }
}
