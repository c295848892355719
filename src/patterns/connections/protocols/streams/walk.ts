import { fault, toFault, type Fault } from '#kernel/fault.ts'
import { outputOf } from '../../answers/output.ts'
import { OneCall, type CallOptions } from '../../call.ts'
import { named } from '../../exchange.ts'
import type { Ready } from '../../operation.ts'
import type { Shared } from '../../run.ts'
import { Held } from './held.ts'
import { itemsOf, type Items } from './items.ts'
import type { StreamPlan } from './options.ts'

/** Bytes of a stream that its call record can show. */
const kept = 8_193
/** Reconnection: what the standard leaves to us when the stream says nothing, and the bounds of what it may say. */
const usual = 3_000
const least = 100
const longest = 60_000

/**
 * The items of a stream, one by one; the reader's pace is the sender's. Each opening is a call with all the connection's policies, and
 * has a record, written when it is over. A reader that stops early destroys the socket.
 *
 * Events that break off are opened again, with the last id: after the time that the stream has asked for, doubled for each
 * opening that brought nothing, up to a minute, plus up to a quarter by chance; until `patience` is over. An event may then come
 * twice when their side does not honour Last-Event-ID. What does not reconnect throws the fault of the break, after the items
 * before it.
 */
export async function* walk(
  shared: Shared,
  ready: Ready,
  input: unknown,
  options: CallOptions,
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<unknown, void> {
  const plan = ready.protocol!.stream!
  const { clock, random } = shared.deps.runtime
  const { deadline = Number.POSITIVE_INFINITY, signal } = options
  // The caller's key is that of the first opening: a second one under it would be its repetition.
  const { key, ...again } = options
  const state: State = { lastId: '', retry: undefined, fruitless: 0, over: false, bytes: 0 }
  let first = key === undefined ? again : options
  let brokenAt: number | undefined
  for (;;) {
    let broken: Fault | undefined
    const call = new OneCall(shared, ready, input, first, lastIdStep(state.lastId))
    first = again
    try {
      await call.run()
      if (!call.answer?.response.stream) return
      broken = yield* one(shared, call, ready, plan, state, most)
    } catch (error) {
      const failure = toFault(error, 'bug')
      if (brokenAt === undefined || !ready.judge(failure).retry) throw failure
      broken = failure
    }
    if (state.over || plan.patience === undefined) {
      if (broken) throw broken
      return
    }
    if (broken && broken.kind === 'cancelled') throw broken
    const now = clock.mono()
    if (state.fruitless === 0) brokenAt = now
    brokenAt ??= now
    const asked = Math.min(longest, Math.max(least, state.retry ?? usual))
    const delay = Math.min(longest, asked * 2 ** Math.min(10, state.fruitless)) * (1 + random.float() / 4)
    const wait = Math.max(delay, broken?.retryAfter ?? 0)
    state.fruitless++
    if (now + wait >= Math.min(deadline, brokenAt + plan.patience)) {
      throw broken ?? named('connection.cut', ready, fault('connection.cut', { detail: { phase: 'body' } }))
    }
    await pause(shared, wait, signal)
  }
}

/** The whole stream as a list, for `call`: at most the connection's `maxBytes` of it, within the operation's total time. */
export async function listed(
  shared: Shared,
  ready: Ready,
  input: unknown,
  options: CallOptions,
): Promise<readonly unknown[]> {
  const deadline = Math.min(
    options.deadline ?? Number.POSITIVE_INFINITY,
    shared.deps.runtime.clock.mono() + ready.timeouts.total,
  )
  const items: unknown[] = []
  for await (const item of walk(shared, ready, input, { ...options, deadline }, shared.maxBytes)) items.push(item)
  return items
}

type State = {
  lastId: string
  retry: number | undefined
  /** Openings in a row that brought nothing. */
  fruitless: number
  over: boolean
  bytes: number
}

/** The items of one opening. Returns the fault that broke it off where that may be mended, throws any other. */
async function* one(
  shared: Shared,
  call: OneCall,
  ready: Ready,
  plan: StreamPlan,
  state: State,
  most: number,
): AsyncGenerator<unknown, Fault | undefined> {
  const { chunks, trailers } = call.answer!.response.stream!
  const items: Items = itemsOf(plan, state.lastId)
  const seen = new Held()
  let failure: Fault | undefined
  try {
    for (let end = false; !end && !items.over;) {
      const next = await chunks.next()
      end = next.done === true
      if (next.done !== true) {
        state.fruitless = 0
        state.bytes += next.value.byteLength
        if (state.bytes > most) throw tooLong(most)
        if (seen.size < kept) seen.add(next.value.slice(0, kept - seen.size))
      }
      for (const item of next.done === true ? items.rest(trailers?.() ?? {}) : items.feed(next.value)) {
        const output = outputOf(shared, ready, item)
        yield output instanceof Promise ? await output : output
      }
    }
    state.over = items.over
    return undefined
  } catch (error) {
    const f = toFault(error, 'bug')
    failure = f.code === 'bug' ? f : named(f.code as Parameters<typeof named>[0], ready, f)
    if (f.code === 'connection.cut' || f.code === 'connection.timeout') return failure
    throw failure
  } finally {
    state.lastId = items.lastId
    state.retry = items.retry ?? state.retry
    await chunks.return?.()
    call.ended(failure, seen.take())
  }
}

function tooLong(maxBytes: number): Fault {
  return fault('connection.response', {
    message: `the stream is longer than ${maxBytes} bytes: walk it with each`,
    detail: { reason: 'too-large', maxBytes },
  })
}

/** Ids are UTF-8 on the wire (WHATWG HTML §9.2.4), and a field cannot hold control characters. */
function lastIdStep(id: string): { readonly headers: Readonly<Record<string, string>> } | undefined {
  if (id === '' || /\p{Cc}/u.test(id)) return undefined
  return { headers: { 'last-event-id': String.fromCharCode(...new TextEncoder().encode(id)) } }
}

/** Ends early, as `cancelled`, when the caller gives up or the connection closes. */
function pause(shared: Shared, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (as: () => void): void => {
      cancel()
      shared.pauses.delete(closed)
      signal?.removeEventListener('abort', aborted)
      as()
    }
    const aborted = (): void => end(() => reject(fault('cancelled', { cause: signal?.reason })))
    const closed = (): void => end(() => reject(fault('cancelled')))
    const cancel = shared.deps.runtime.clock.after(ms, () => end(resolve))
    if (signal?.aborted) return aborted()
    signal?.addEventListener('abort', aborted, { once: true })
    shared.pauses.add(closed)
  })
}
