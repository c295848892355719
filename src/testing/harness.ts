import type { Call, Publish } from '#kernel/context.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import type { OperationHandle, TopicHandle } from '#kernel/handle.ts'
import type { HttpRequest } from '#kernel/http.ts'
import { uuid7 } from '#kernel/id.ts'
import type { Level, Log } from '#kernel/log.ts'
import { SecretValue, type Secrets } from '#kernel/secret.ts'
import { fairlead, type App } from '#app/fairlead.ts'
import { ChaosHttp, type ChaosRule } from '#app/http/chaos.ts'
import type { ParkedMessage } from '#app/operations/parked.ts'
import { sqlite } from 'fairlead/sqlite'
import type { Cassette } from './cassette/cassette.ts'
import { settle, virtualClock, type VirtualClock } from './clock.ts'
import { seededRandom } from './random.ts'
import { ScriptedHttp } from './replies.ts'

export type HarnessOptions = {
  readonly use: readonly unknown[]
  /** Answers come from a recording, and not from `answer`. */
  readonly cassette?: Cassette
  /** The same seed gives the same run: ids, jitter, order. Default 1. */
  readonly seed?: number
  /** Values of secrets; one that is not named here is 44 characters made of its name, and a valid `whsec_` key. */
  readonly secrets?: Readonly<Record<string, string>>
}

export type LogLine = {
  readonly level: Level
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface Harness {
  readonly app: App
  readonly clock: VirtualClock
  readonly publish: Publish
  readonly call: Call
  /** What the operation's API answers from now on: values (200), `reply(…)`, `cut`, `hang`, `refused`, or functions of the input. The last is repeated. */
  answer(operation: OperationHandle, ...replies: readonly unknown[]): void
  /** Inputs of all requests that reached the operation's API, retries included. */
  called(operation: OperationHandle): readonly Record<string, unknown>[]
  /** Idempotency keys of those requests. */
  keys(operation: OperationHandle): readonly (string | undefined)[]
  /** Those requests as they would have gone out, credentials included. */
  requests(operation: OperationHandle): readonly Pick<HttpRequest, 'method' | 'path' | 'headers' | 'body'>[]
  /** Moves time forward; everything that falls due happens on the way. */
  advance(by: Duration): Promise<void>
  /** Lets everything that is ready now happen, without moving time. */
  settle(): Promise<void>
  /** Data of all messages of a topic, oldest first within a partition. */
  messages(topic: TopicHandle): Promise<readonly unknown[]>
  parked(): Promise<readonly ParkedMessage[]>
  /** Lets go wrong what the rules say, from now on, in place of those before; without rules: peace. */
  chaos(...rules: readonly ChaosRule[]): void
  readonly logged: readonly LogLine[]
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Your definitions in a world of their own: virtual time, seeded chance, scripted replies, an in-memory store; no network
 * and no waiting. Everything between is the real engine.
 *
 * @example
 * await using t = await harness({ use: [orders, payments], seed: 7 })
 * t.answer(payments.charge, reply(503), { id: 'ch_1', amount: 990, status: 'paid' })
 * await t.publish(orderPlaced, order)
 * await t.advance('1m')
 * assert.deepEqual(t.called(payments.charge).length, 2)
 */
export async function harness(options: HarnessOptions): Promise<Harness> {
  const clock = virtualClock()
  const random = seededRandom(options.seed ?? 1)
  const { cassette } = options
  const http = new ScriptedHttp(clock)
  let chaos: ChaosHttp | undefined
  const logged: LogLine[] = []
  const log: Log = { write: (level, event, fields = {}) => void logged.push({ level, event, fields }) }
  const app = await fairlead(
    { use: options.use, store: sqlite(':memory:'), log },
    {
      clock,
      random,
      ids: uuid7(clock, random),
      ...(cassette === undefined ? { http } : cassette.world),
      around: (inner) => (chaos = new ChaosHttp(cassette?.world.around?.(inner) ?? inner, { clock, random })),
      log,
      secrets: testSecrets(options.secrets ?? {}),
      host: { name: 'test', pid: 1, alive: () => true },
    },
  )
  return {
    app,
    clock,
    publish: app.publish,
    call: app.call,
    answer: (operation, ...replies) => http.answer(operation, replies),
    called: (operation) => http.called(operation).map((c) => c.input),
    keys: (operation) => http.called(operation).map((c) => c.key),
    requests: (operation) => http.called(operation).map((c) => c.request),
    advance: (by) => clock.advance(milliseconds(by)),
    settle,
    messages: async (topic) => {
      const newest = await app.operations.messages({ topic: topic.name, limit: 1_000 })
      return newest.map((m) => m.data).reverse()
    },
    parked: () => app.operations.parked({ limit: 1_000 }),
    chaos: (...rules) => chaos!.set(rules),
    logged,
    async [Symbol.asyncDispose]() {
      const disposed = app[Symbol.asyncDispose]()
      // Running handlers are given their grace, on the virtual clock.
      await clock.advance(60_000)
      await disposed
    },
  }
}

function testSecrets(given: Readonly<Record<string, string>>): Secrets {
  return {
    read: (name) => {
      const made = `whsec_${Buffer.from(name.padEnd(28, '.').slice(0, 28)).toString('base64')}`
      return Promise.resolve([new SecretValue(name, given[name] ?? made)])
    },
  }
}
