import type { FaultKind } from '#kernel/codes.ts'
import { checkOptions, isDefinition, type Problem } from '#kernel/definition.ts'
import type { Duration } from '#kernel/duration.ts'
import type { OperationHandle, TopicHandle } from '#kernel/handle.ts'
import type { CallOptions } from '../call.ts'
import { isSpan } from '../check/parts.ts'
import type { OperationSpec } from '../define.ts'

/** Faults that may lead to a fallback: never one that says that the request itself is wrong, that it was refused, or that the mistake is ours. */
export type FallbackOn = Extract<FaultKind, 'transient' | 'throttled' | 'credential' | 'ambiguous'>

type When = {
  /**
   * Which faults lead to it. Default: `transient` (unreachable, unavailable, breaker open, deadline) and `throttled`; also `ambiguous`
   * (timeout, cut, 500) where a second effect is not possible: the operation is safe or natural, or, for `later`, has a key or a `verify`.
   */
  readonly on?: readonly FallbackOn[]
}

/** Another connection's operation, asked instead. Made by `instead`, which knows its types. */
export type Instead<I, O> = When & {
  readonly to: OperationHandle
  readonly input: (input: I) => unknown
  readonly output: (answer: never) => O
}

/** What an operation answers when it cannot be called: the first step that works. */
export type FallbackStep<I = never, O = unknown> =
  | Instead<I, O>
  /** The last good answer to the same input, at most this old. In memory, of this process: 1,000 answers and 8 MiB a connection. */
  | (When & { readonly cached: Duration })
  /** This value, or what the function makes of the input. */
  | (When & { readonly value: O | ((input: I) => O) })
  /**
   * Accept now and check later: the call becomes a durable one, made when the service is back (`later` of the connection), and its
   * answer goes to the topic. Meanwhile the caller gets `value`.
   */
  | (When & { readonly later: { readonly deliver?: TopicHandle<O> }; readonly value: O | ((input: I) => O) })

/**
 * A fallback to an operation of another connection. `input` and `output` map between the two; a key of the call is used there too.
 *
 * @example
 * convert: { http: 'GET /rates', output: Rate, fallback: [instead(other.rate, { input: (i) => i, output: (o) => ({ rate: o.value }) })] }
 */
export function instead<FI, FO, I, O>(
  to: OperationHandle<FI, FO>,
  maps: When & { readonly input: (input: I) => FI; readonly output: (answer: FO) => O },
): Instead<I, O> {
  return Object.freeze({ ...maps, to })
}

/** Whether a call may be answered by something else: not where it is made later, or once more by a person. */
export function fallsBack(spec: OperationSpec, options: CallOptions): boolean {
  return spec.fallback !== undefined && options.direct !== true && options.resent !== true
}

export function isOperation(value: unknown): value is OperationHandle {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'operation'
}

const kinds: ReadonlySet<unknown> = new Set<FallbackOn>(['transient', 'throttled', 'credential', 'ambiguous'])

/** `once`: a second effect of the operation is not possible; `recognised`: it is not when it is made again under the same key or asked. */
export function fallbackProblems(
  path: string,
  spec: OperationSpec,
  of: { readonly once: boolean; readonly recognised: boolean; readonly later: boolean },
): Problem[] {
  const steps: unknown = spec.fallback
  if (steps === undefined) return []
  if (!Array.isArray(steps) || steps.length === 0 || steps.length > 10)
    return [{ path, message: 'is not a list of 1 to 10 steps', fix: "use [{ cached: '1h' }, { value: … }]" }]
  return steps.flatMap((step: unknown, i) => stepProblems(`${path}[${i}]`, step, of))
}

function stepProblems(path: string, step: unknown, of: Parameters<typeof fallbackProblems>[2]): Problem[] {
  const problems = checkOptions(path, step, ['on', 'to', 'input', 'output', 'cached', 'value', 'later'])
  if (typeof step !== 'object' || step === null) return problems
  const s = step as Readonly<Record<string, unknown>>
  const add = (message: string, fix: string, name?: string): void =>
    void problems.push({ path: name === undefined ? path : `${path}.${name}`, message, fix })
  const ways = [s['to'] !== undefined, s['cached'] !== undefined, s['value'] !== undefined || s['later'] !== undefined]
  if (ways.filter(Boolean).length !== 1)
    add('is not one fallback', 'use instead(…), { cached }, { value } or { later, value }')
  if (s['to'] !== undefined && !isOperation(s['to']))
    add('is not an operation', 'pass one: instead(other.rate, …)', 'to')
  for (const name of s['to'] === undefined ? [] : ['input', 'output'])
    if (typeof s[name] !== 'function') add('is not a function', `add ${name}`, name)
  if (s['cached'] !== undefined && !isSpan(s['cached'])) add('is not a time', "use a duration: '1h'", 'cached')
  if (s['cached'] !== undefined && !of.once)
    add('answers a call that changes something with an old answer', 'use it on what only reads', 'cached')
  if (s['later'] !== undefined) {
    const { deliver } = (s['later'] ?? {}) as { readonly deliver?: unknown }
    problems.push(...checkOptions(`${path}.later`, s['later'], ['deliver']))
    if (deliver !== undefined && !(isDefinition(deliver) && deliver.kind === 'topic'))
      add('is not a topic', 'pass the value that topic(…) returned', 'later.deliver')
    if (!('value' in s)) add('has nothing to answer meanwhile', 'add a value', 'value')
    if (!of.later) add('needs a connection that makes calls later', 'add later: true to the connection', 'later')
  }
  const { on } = s
  if (on !== undefined && !(Array.isArray(on) && on.length > 0 && on.every((k) => kinds.has(k))))
    add('is not a list of kinds of fault', `use ${[...kinds].join(', ')}`, 'on')
  else if (Array.isArray(on) && on.includes('ambiguous') && !of.once && !(s['later'] !== undefined && of.recognised))
    add('answers although the call may have happened', 'leave out ambiguous, or declare how it may be repeated', 'on')
  return problems
}
