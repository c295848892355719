import process from 'node:process'
import { Connection } from 'rabbitmq-client'
import type { Server } from '../../tools/servers/process.ts'
import type { Contender, Event } from '../workload.ts'

/** A quorum queue: persistent messages, publisher confirms, an acknowledgement a message, 500 prefetched. */
export function rabbitmq(server: Server): Contender {
  let places = 0
  const connect = (): Connection => {
    const connection = new Connection(`amqp://guest:guest@127.0.0.1:${server.port}`)
    connection.on('error', tell)
    return connection
  }
  return {
    name: 'rabbitmq',
    preload: 50_000,
    server: () => server.pid,
    place() {
      const queue = `events-${places++}`
      const queueOptions = { queue, durable: true, arguments: { 'x-queue-type': 'quorum' as const } }
      return Promise.resolve({
        async open(handle) {
          const connection = connect()
          await connection.queueDeclare(queueOptions)
          const publisher = connection.createPublisher({ confirm: true, maxAttempts: 2 })
          const consumer =
            handle &&
            connection.createConsumer({ queue, queueOptions, qos: { prefetchCount: 500 } }, (message) => {
              handle(message.body as Event)
            })
          consumer?.on('error', tell)
          const send = (e: Event): Promise<void> => publisher.send({ routingKey: queue, durable: true }, e)
          return {
            send,
            sendMany: (events) => Promise.all(events.map(send)),
            async [Symbol.asyncDispose]() {
              await consumer?.close()
              await publisher.close()
              await connection.close()
            },
          }
        },
        async [Symbol.asyncDispose]() {
          const connection = connect()
          await connection.queueDelete(queue)
          await connection.close()
        },
      })
    },
  }
}

function tell(e: Error): void {
  process.stderr.write(`rabbitmq: ${e.message}\n`)
}
