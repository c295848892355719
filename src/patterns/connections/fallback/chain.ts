import type { FellBack, Receipt } from '#kernel/context.ts'
import { milliseconds } from '#kernel/duration.ts'
import { toFault, type Fault } from '#kernel/fault.ts'
import type { OperationHandle, TopicHandle } from '#kernel/handle.ts'
import { bodyOf, outputOf } from '../answers/output.ts'
import { OneCall, type CallOptions } from '../call.ts'
import type { Ready } from '../operation.ts'
import type { Shared } from '../run.ts'
import type { FallbackOn, FallbackStep } from './fallback.ts'
import { answerName } from './last-good.ts'

/** What a connection needs of the app to fall back on something that is not its own. */
export type Others = {
  call(operation: OperationHandle, input: unknown, options: CallOptions): Promise<unknown>
  later(operation: OperationHandle, input: unknown, key: string, deliver: TopicHandle | undefined): Promise<Receipt>
}

type Taken = { readonly output: unknown; readonly by: FellBack }

/** A call with its fallbacks: the first step that the fault leads to and that works. Otherwise the fault of the call itself. */
export async function callOrElse(shared: Shared, ready: Ready, input: unknown, options: CallOptions): Promise<unknown> {
  const call = new OneCall(shared, ready, input, options, undefined)
  const name = ready.remembers ? answerName(ready.name, input) : undefined
  let failure: Fault
  try {
    const output = await call.run()
    if (name !== undefined && call.answer && !call.answer.kept)
      shared.lastGood.put(name, call.answer.response, shared.deps.runtime.clock.mono())
    return output
  } catch (error) {
    failure = toFault(error, 'bug')
  }
  const { log } = shared.deps.runtime
  for (const step of ready.spec.fallback!) {
    if (!leads(step, failure, ready)) continue
    try {
      const taken = await take(step, { shared, ready, input, options, name, call, failure })
      if (taken === undefined) continue
      shared.counters.fellBack++
      log.write('warn', 'connection.fallback', { connection: shared.name, operation: ready.name, ...taken.by })
      call.note(failure.code, taken.by)
      options.onFallback?.(taken.by)
      return taken.output
    } catch (error) {
      const fault = toFault(error, 'bug').code
      log.write('warn', 'connection.fallback_failed', { connection: shared.name, operation: ready.name, fault })
    }
  }
  call.note(failure.code)
  throw failure
}

function leads(step: FallbackStep, failure: Fault, ready: Ready): boolean {
  const on: readonly FallbackOn[] | undefined = step.on
  if (on !== undefined) return (on as readonly string[]).includes(failure.kind)
  if (failure.kind === 'transient' || failure.kind === 'throttled') return true
  if (failure.kind !== 'ambiguous' || failure.code === 'connection.unverified') return false
  return !ready.risky || ('later' in step && (ready.keyed || ready.spec.verify !== undefined))
}

type Of = {
  readonly shared: Shared
  readonly ready: Ready
  readonly input: unknown
  readonly options: CallOptions
  readonly name: string | undefined
  readonly call: OneCall
  readonly failure: Fault
}

async function take(step: FallbackStep, of: Of): Promise<Taken | undefined> {
  const { shared, ready, input, options, call } = of
  const { code } = of.failure
  if ('cached' in step) {
    const kept = of.name === undefined ? undefined : shared.lastGood.get(of.name)
    const age = kept && shared.deps.runtime.clock.mono() - kept.at
    if (kept === undefined || age === undefined || age > milliseconds(step.cached)) return undefined
    // Read anew each time: nobody else holds what the caller gets.
    return {
      output: await outputOf(shared, ready, bodyOf(kept.response, ready), kept.response.body),
      by: { by: 'cached', code, age },
    }
  }
  const others = shared.deps.others!
  if ('to' in step) {
    const { deadline, signal, correlation, message, attempt } = options
    const inherited = { key: call.identity, ...defined({ deadline, signal, correlation, message, attempt }) }
    const answer = await others.call(step.to, step.input(input as never), inherited)
    const operation = `${step.to.connection}.${step.to.name}`
    return { output: step.output(answer as never), by: { by: 'instead', code, operation } }
  }
  const value = typeof step.value === 'function' ? (step.value as (input: unknown) => unknown)(input) : step.value
  if (!('later' in step)) return { output: value, by: { by: 'value', code } }
  const handle = { kind: 'operation', connection: ready.connection, name: ready.name } as const
  // Under the same key: what the failed call may have done is recognised.
  const receipt = await others.later(handle, input, call.identity, step.later.deliver)
  return { output: value, by: { by: 'later', code, receipt: receipt.id } }
}

/** Without what is undefined. */
function defined(options: { readonly [K in keyof CallOptions]?: CallOptions[K] | undefined }): CallOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
