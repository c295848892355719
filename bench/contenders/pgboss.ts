import process from 'node:process'
import { PgBoss } from 'pg-boss'
import type { Postgres } from '../../tools/servers/postgres.ts'
import type { Contender, Event } from '../workload.ts'
import { database } from './databases.ts'

const queue = 'events'

/**
 * pg-boss with its best settings (notify, burst, batches of 500, three workers, 16 connections, statistics made fresh after
 * filling it: without them it reads the whole table again and again), and with its defaults (a poll every 2 s, one job each).
 */
export function pgboss(server: Postgres, settings: 'best' | 'default'): Contender {
  const best = settings === 'best'
  return {
    name: best ? 'pgboss' : 'pgboss_default',
    preload: best ? 50_000 : 5_000,
    server: () => server.pid,
    async place() {
      const at = await database(server)
      const { url } = at
      return {
        async open(handle) {
          const boss = new PgBoss({ connectionString: url, ...(best ? { max: 16, useListenNotify: true } : {}) })
          boss.on('error', (e) => process.stderr.write(`pg-boss: ${String(e)}\n`))
          await boss.start()
          await boss.createQueue(queue, best ? { notify: true } : {})
          if (handle) {
            const options = best
              ? { batchSize: 500, localConcurrency: 3, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
              : {}
            await boss.work<Event>(queue, options, (jobs) => {
              for (const job of jobs) handle(job.data)
              return Promise.resolve()
            })
          }
          return {
            send: (e) => boss.send(queue, e),
            sendMany: (events) =>
              boss.insert(
                queue,
                events.map((data) => ({ data })),
              ),
            [Symbol.asyncDispose]: () => boss.stop({ graceful: true, timeout: 5_000 }),
          }
        },
        ...(best ? { settle: async () => void (await at.run('vacuum analyze')) } : {}),
        rest: async () => void (await at.run('checkpoint')),
        [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
      }
    },
  }
}
