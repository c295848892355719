import process from 'node:process'
import { Queue, Worker } from 'bullmq'
import type { Server } from '../../tools/servers/process.ts'
import type { Contender, Event } from '../workload.ts'

/** BullMQ on a Redis that syncs before it answers; jobs are removed when they are done, 100 at a time. */
export function bullmq(redis: Server): Contender {
  let places = 0
  const connection = { host: '127.0.0.1', port: redis.port, maxRetriesPerRequest: null }
  return {
    name: 'bullmq',
    preload: 20_000,
    server: () => redis.pid,
    place() {
      const name = `events-${places++}`
      return Promise.resolve({
        async open(handle) {
          const queue = new Queue<Event>(name, {
            connection,
            defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
          })
          await queue.waitUntilReady()
          const worker =
            handle &&
            new Worker<Event>(
              name,
              (job) => {
                handle(job.data)
                return Promise.resolve()
              },
              { connection, concurrency: 100 },
            )
          worker?.on('error', fail)
          queue.on('error', fail)
          await worker?.waitUntilReady()
          return {
            send: (e) => queue.add('event', e),
            sendMany: (events) => queue.addBulk(events.map((data) => ({ name: 'event', data }))),
            async [Symbol.asyncDispose]() {
              await worker?.close()
              await queue.close()
            },
          }
        },
        async [Symbol.asyncDispose]() {
          const queue = new Queue(name, { connection })
          await queue.obliterate({ force: true })
          await queue.close()
        },
      })
    },
  }
}

function fail(e: Error): void {
  process.stderr.write(`bullmq: ${e.message}\n`)
}
