import { Logger, makeWorkerUtils, run, type RunnerOptions } from 'graphile-worker'
import type { Postgres } from '../../tools/servers/postgres.ts'
import type { Contender, Event } from '../workload.ts'
import { database } from './databases.ts'

/** A quiet run prints nothing; a job that fails would be missed by the count. */
const logger = new Logger(() => () => {})

/**
 * graphile-worker with its best settings (a local queue of 500, completions in batches, 16 connections, fresh statistics),
 * and with its defaults; 24 jobs at a time in both, for its default of one would measure nothing.
 */
export function graphile(server: Postgres, settings: 'best' | 'default'): Contender {
  const best = settings === 'best'
  return {
    name: best ? 'graphile' : 'graphile_default',
    preload: best ? 50_000 : 10_000,
    server: () => server.pid,
    async place() {
      const at = await database(server)
      const { url } = at
      const base = { connectionString: url, logger, ...(best ? { maxPoolSize: 16 } : {}) }
      return {
        async open(handle) {
          const utils = await makeWorkerUtils(base)
          await utils.migrate()
          const options: RunnerOptions = {
            ...base,
            concurrency: 24,
            noHandleSignals: true,
            taskList: { event: (payload) => handle?.(payload as Event) },
            ...(best
              ? { preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } } }
              : {}),
          }
          const runner = handle && (await run(options))
          return {
            send: (e) => utils.addJob('event', e),
            sendMany: (events) => utils.addJobs(events.map((payload) => ({ identifier: 'event', payload }))),
            async [Symbol.asyncDispose]() {
              await runner?.stop()
              await utils.release()
            },
          }
        },
        ...(best ? { settle: async () => void (await at.run('vacuum analyze')) } : {}),
        rest: async () => void (await at.run('checkpoint')),
        [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
      }
    },
  }
}
