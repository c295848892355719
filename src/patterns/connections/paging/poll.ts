import { wait, type Clock } from '#kernel/clock.ts'
import type { PollOptions } from '#kernel/context.ts'
import type { FaultKind } from '#kernel/codes.ts'
import { milliseconds } from '#kernel/duration.ts'
import { toFault, type Fault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { retryAfter } from '../answers/retry-after.ts'
import { OneCall } from '../call.ts'
import { isSafe, type Ready } from '../operation.ts'
import type { Shared } from '../run.ts'
import { boundsOf, delayOf, pace, paced, refuse } from './polling.ts'
import { walked } from './resume.ts'
import { conditionsOf, readSince, sinceOf, type Since } from './since.ts'

/** Faults that the next poll would only meet again. */
const lasting: ReadonlySet<FaultKind> = new Set(['rejected', 'invalid', 'config', 'bug'])

/**
 * Asks again and again, and gives the answers that differ from the one before: each poll is one call with the connection's own
 * policies. A fault that may pass is counted, and the next poll waits longer; one that would only come again is thrown. Ends
 * quietly when the signal is aborted or the connection closed. The next poll is not begun before the last change is handled.
 */
export async function* poll(
  shared: Shared,
  ready: Ready,
  input: unknown,
  options: PollOptions,
): AsyncGenerator<{ readonly answer: unknown; readonly since: object }, void> {
  const { clock, random, log, redact } = shared.deps.runtime
  const { signal } = options
  let at = pace(boundsOf(options))
  if (!isSafe(ready.method) && ready.spec.idempotent !== 'natural')
    throw refuse(`${ready.connection}.${ready.name} may change something with every poll`)
  if (ready.protocol?.stream) throw refuse(`${ready.connection}.${ready.name} is a stream: it tells by itself`)
  const of = walked(`${ready.connection}.${ready.name}`, ready.spec.http, shared.origin, input)
  let known: Since | undefined
  if (options.since !== undefined && options.since !== null) known = readSince(of, options.since)
  const counted = shared.polls.begin(ready.name)
  let failing = false
  try {
    while (!signal?.aborted) {
      const began = clock.mono()
      const asked = await ask(shared, ready, input, options, known)
      if (asked === undefined) return
      const until = clock.mono() + (asked.told ?? 0)
      if ('failure' in asked) {
        at = paced(at, { was: 'failed' })
        counted.polled('failed', false, at.interval)
        const { connection, name: operation } = ready
        if (!failing)
          log.write('warn', 'connection.poll', { connection, operation, fault: asked.failure, again: at.interval })
        failing = true
      } else {
        const { output, response, unmodified } = asked
        const now = unmodified ? known! : sinceOf(of, ready, response, output, (text) => redact.knows(text))
        const was = known === undefined ? 'first' : now.hash === known.hash ? 'same' : 'changed'
        at = paced(at, { was, pollInterval: response.headers['x-poll-interval'] })
        counted.polled(was, unmodified, at.interval)
        failing = false
        known = now
        if (was !== 'same') yield { answer: output, since: now }
      }
      const left = Math.max(began + delayOf(at, random.float()), until) - clock.mono()
      if (left > 0) await pause(clock, left, signal)
    }
  } finally {
    counted.ended()
  }
}

/** Ends early at the signal: the loop looks at it. */
async function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  await wait(clock, ms, signal).catch((error: unknown) => {
    if (!signal?.aborted) throw error
  })
}

/** `told`: milliseconds from now, their Retry-After. */
type Asked = { readonly told: number | undefined } & (
  | { readonly failure: Fault }
  | {
      readonly output: unknown
      readonly response: HttpResponse
      /** They say that it is as it was. */
      readonly unmodified: boolean
    }
)

/** One poll; undefined when it is over. */
async function ask(
  shared: Shared,
  ready: Ready,
  input: unknown,
  { signal, timeout }: PollOptions,
  known: Since | undefined,
): Promise<Asked | undefined> {
  const { clock } = shared.deps.runtime
  const conditions = conditionsOf(known)
  const call = new OneCall(
    shared,
    ready,
    input,
    {
      direct: true,
      refresh: true,
      ...(signal === undefined ? {} : { signal }),
      ...(timeout === undefined ? {} : { deadline: clock.mono() + milliseconds(timeout) }),
      ...(conditions === undefined ? {} : { conditions }),
    },
    undefined,
  )
  try {
    await call.run()
  } catch (error) {
    const failure = toFault(error, 'bug')
    if (failure.kind === 'cancelled') return undefined
    if (lasting.has(failure.kind)) throw failure
    return { told: failure.retryAfter, failure }
  }
  const { output, response } = call.answer!
  const { headers, status } = response
  const told = retryAfter(headers['retry-after'], clock.now(), headers['date'])
  return { told, output, response, unmodified: status === 304 && conditions !== undefined }
}
