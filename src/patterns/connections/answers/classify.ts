import type { Code } from '#kernel/codes.ts'
import { fault, type Fault } from '#kernel/fault.ts'
import { retryAfter } from './retry-after.ts'

/**
 * A rule of one connection, asked before the common table and in the order written; the first that fits decides. All
 * conditions given must hold. `body` gets the parsed JSON (text when it is not JSON) and is how an error inside a 200 is
 * seen; one that throws does not fit. `means` is a consequence or a code of ours; `'ok'` makes an answer a success.
 */
export type Rule = {
  readonly status?: number | readonly number[]
  /** A field that is there, or that has this value (no matter the case of letters). */
  readonly header?: string | { readonly name: string; readonly value: string }
  readonly body?: (body: unknown) => boolean
  readonly means: keyof typeof consequences | Extract<Code, `connection.${string}`>
}

/** Consequence → code. */
export const consequences = {
  ok: undefined,
  transient: 'connection.unavailable',
  throttled: 'connection.throttled',
  ambiguous: 'connection.failed',
  credential: 'connection.credential',
  conflict: 'connection.conflict',
  rejected: 'connection.rejected',
} as const satisfies Record<string, Code | undefined>

/** An answer as far as it is known; `body` parses at its first call only. */
export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: () => unknown
}

/** What a protocol on top of HTTP makes of an answer. `retryAfter` in milliseconds; `detail` holds identifiers, no payload. */
export type Meant = {
  readonly code: Code
  readonly retryAfter?: number
  readonly detail?: Readonly<Record<string, unknown>>
}

/** What is known about the call when its answer is judged. */
export type Asked = {
  readonly connection: string
  readonly operation: string
  readonly method: string
  /** Safe or idempotent by method, or declared `natural`: twice has the effect of once, whoever repeats it. */
  readonly natural: boolean
  /** Carries an idempotency key. */
  readonly keyed: boolean
  /** The same request may have reached them before. */
  readonly repeated: boolean
}

/**
 * The fault of an answer, or undefined for a success. Pure: `now` (wall clock) is only for a Retry-After date without Date.
 *
 * 2xx is success. 3xx is never followed. 502, 504 and 520–527 come from something in front of the API that may already
 * have passed the request on: for a call that must not happen twice they are ambiguous, for others transient. When the
 * same request may have been there before, 404 and 410 to DELETE mean that it has worked, and 409 to a keyed call that
 * the first one is still running. `meant`, what a protocol on top of HTTP reads in it, comes behind the rules and before the table.
 */
export function classify(
  answer: Answer,
  asked: Asked,
  rules: readonly Rule[],
  now: number,
  meant?: Meant,
): Fault | undefined {
  const ruled = rules.length > 0 ? byRule(answer, rules) : 'no rule'
  const code = ruled === 'no rule' ? (meant?.code ?? codeOf(answer, asked)) : ruled
  if (code === undefined) return undefined
  const { status, headers } = answer
  const told = retryAfter(headers['retry-after'], now, headers['date']) ?? meant?.retryAfter
  const type = problemType(answer)
  return fault(code, {
    message: `${asked.connection}.${asked.operation} was answered ${status}`,
    detail: {
      connection: asked.connection,
      operation: asked.operation,
      status,
      ...(type === undefined ? {} : { type }),
      ...meant?.detail,
    },
    ...(told === undefined ? {} : { retryAfter: told }),
  })
}

function codeOf(answer: Answer, asked: Asked): Code | undefined {
  const { status, headers } = answer
  if (status >= 200 && status < 300) return undefined
  if (asked.repeated) {
    if (asked.method === 'DELETE' && (status === 404 || status === 410)) return undefined
    if (asked.keyed && status === 409) return 'connection.unavailable'
  }
  if (status === 403) {
    // Secondary limits of GitHub and others: a refusal that says when to come back is not about rights.
    if (headers['retry-after'] !== undefined) return 'connection.throttled'
    // RFC 6750 §3.1 has 401 for an expired token; those who answer 403 say so at least in the field that it belongs to.
    if (/\berror="?invalid_token\b/.test(headers['www-authenticate'] ?? '')) return 'connection.credential'
  }
  const code = table[status]
  if (code === 'gateway') return asked.natural ? 'connection.unavailable' : 'connection.failed'
  if (code !== undefined) return code
  if (status >= 500 && status < 600) return 'connection.failed'
  if (status >= 400 && status < 500) return 'connection.rejected'
  if (status >= 300 && status < 400) return 'connection.redirect'
  return 'connection.response'
}

const table: Readonly<Record<number, Code | 'gateway'>> = {
  401: 'connection.credential',
  403: 'connection.forbidden',
  404: 'connection.not_found',
  408: 'connection.unavailable',
  409: 'connection.conflict',
  410: 'connection.not_found',
  412: 'connection.conflict',
  420: 'connection.throttled',
  421: 'connection.unavailable',
  425: 'connection.unavailable',
  428: 'connection.conflict',
  429: 'connection.throttled',
  430: 'connection.throttled',
  // A session that has ended: of Microsoft's servers, and of Esri's.
  440: 'connection.credential',
  498: 'connection.credential',
  501: 'connection.rejected',
  502: 'gateway',
  503: 'connection.unavailable',
  504: 'gateway',
  505: 'connection.rejected',
  508: 'connection.rejected',
  511: 'connection.rejected',
  520: 'gateway',
  521: 'gateway',
  522: 'gateway',
  523: 'gateway',
  524: 'gateway',
  527: 'gateway',
  529: 'connection.throttled',
}

function byRule(answer: Answer, rules: readonly Rule[]): Code | undefined | 'no rule' {
  const rule = rules.find((r) => fits(r, answer))
  if (!rule) return 'no rule'
  return rule.means in consequences ? consequences[rule.means as keyof typeof consequences] : (rule.means as Code)
}

function fits(rule: Rule, answer: Answer): boolean {
  if (rule.status !== undefined) {
    if (typeof rule.status === 'number' ? rule.status !== answer.status : !rule.status.includes(answer.status))
      return false
  }
  if (rule.header !== undefined) {
    const name = typeof rule.header === 'string' ? rule.header : rule.header.name
    const value = answer.headers[name.toLowerCase()]
    if (value === undefined) return false
    if (typeof rule.header === 'object' && value.toLowerCase() !== rule.header.value.toLowerCase()) return false
  }
  if (rule.body === undefined) return true
  try {
    return rule.body(answer.body())
  } catch {
    return false
  }
}

/** The `type` of a problem document (RFC 9457): an identifier by contract, so it may appear in a fault. */
function problemType(answer: Answer): string | undefined {
  if (!answer.headers['content-type']?.startsWith('application/problem+json')) return undefined
  const body = answer.body()
  const type = typeof body === 'object' && body !== null ? (body as { type?: unknown }).type : undefined
  return typeof type === 'string' ? type.slice(0, 200) : undefined
}
