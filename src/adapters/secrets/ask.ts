import { wait } from '#kernel/clock.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { parseJson } from '#kernel/json.ts'
import { poolOf, type SecretsRuntime } from './port.ts'

export type Question = {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Milliseconds for one attempt. Default 5 s; what answers from this very machine is given less. */
  readonly total?: number
  /** Default 3. */
  readonly attempts?: number
}

/** Between the attempts, milliseconds, +0–25 %. */
const pauses = [200, 1_000]
/** Asked again: time-out and too early, a replica that is behind (Vault), throttled, and whatever went wrong on their side. */
const passing = (status: number): boolean =>
  status === 408 || status === 412 || status === 425 || status === 429 || status >= 472

/**
 * Asks a source of secrets, up to three times while it is away; all questions are reads and logins, which may be repeated.
 * Any answer but a passing failure is given back. Rejects with `secret.unavailable`, which holds a status or the reason of the
 * transport and nothing of what was sent or answered.
 */
export async function ask(runtime: SecretsRuntime, kind: string, question: Question): Promise<HttpResponse> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await once(runtime, kind, question)
    if (typeof outcome !== 'string' && !('cause' in outcome)) return outcome
    if (attempt >= (question.attempts ?? 3)) {
      const reason = typeof outcome === 'string' ? outcome : outcome.reason
      throw fault('secret.unavailable', {
        message: `${kind} cannot be asked: ${reason}`,
        detail: { source: kind, reason },
        ...(typeof outcome === 'string' ? {} : { cause: outcome.cause }),
      })
    }
    await wait(runtime.clock, pauses[attempt - 1]! * (1 + runtime.random.float() / 4))
  }
}

type Failed = { readonly reason: string; readonly cause: unknown }

async function once(
  runtime: SecretsRuntime,
  kind: string,
  question: Question,
): Promise<HttpResponse | Failed | string> {
  const { method, url, headers = {}, body, total = 5_000 } = question
  const { origin, pathname, search } = new URL(url)
  try {
    const answer = await runtime.http.send({
      method,
      origin,
      path: pathname + search,
      headers,
      ...(body === undefined ? {} : { body }),
      pool: poolOf(kind),
      timeouts: { connect: Math.min(total, 2_000), firstByte: total, total },
      maxBytes: 1_048_576,
    })
    return passing(answer.status) ? `status ${answer.status}` : answer
  } catch (cause) {
    const { reason, phase } = isFault(cause) ? cause.detail : {}
    const code = isFault(cause) ? cause.code : 'error'
    return { reason: [code, phase, reason].filter((t) => typeof t === 'string').join(' '), cause }
  }
}

/** The answer as an object. Rejects with `secret.unavailable`: who answers something else is not the source that was configured. */
export function objectOf(kind: string, answer: HttpResponse): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = parseJson(answer.body)
  } catch {
    value = undefined
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw fault('secret.unavailable', {
    message: `${kind} answered ${answer.status} with something that is not a JSON object`,
    detail: { source: kind, status: answer.status },
  })
}

/** An own field of an object, when it is an object itself. */
export function inside(value: Readonly<Record<string, unknown>>, field: string): Readonly<Record<string, unknown>> {
  const found = Object.hasOwn(value, field) ? value[field] : undefined
  return typeof found === 'object' && found !== null ? (found as Readonly<Record<string, unknown>>) : {}
}

/** A text that a credential of a source must have. Throws `secret.unavailable`. */
export function textIn(kind: string, value: Readonly<Record<string, unknown>>, field: string): string {
  const found = Object.hasOwn(value, field) ? value[field] : undefined
  if (typeof found === 'string' && found !== '') return found
  throw fault('secret.unavailable', { message: `the answer of ${kind} has no ${field}`, detail: { source: kind } })
}
