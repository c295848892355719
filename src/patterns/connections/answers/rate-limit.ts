import type { Clock } from '#kernel/clock.ts'

/** What an answer says is left of their limit: so many calls in a window that ends in `reset` milliseconds. */
export type Left = { readonly remaining: number; readonly reset: number }

/**
 * The tightest limit that the headers speak of, or undefined. Read are the RateLimit field of the IETF draft (revision 11,
 * `"burst";r=20;t=23`, and 07, `limit=100, remaining=50, reset=5`), and the `-Remaining` and `-Reset` pairs under the
 * prefixes `ratelimit`, `x-ratelimit` and `x-rate-limit`, whose reset is seconds to go, or a Unix time in seconds or
 * milliseconds. Answers out of a cache (Age above 0) speak of another time. Malformed fields are ignored, as the draft asks.
 */
export function rateLimitOf(headers: Readonly<Record<string, string>>, clock: Pick<Clock, 'now'>): Left | undefined {
  const { age } = headers
  if (age !== undefined && Number(age) > 0) return undefined
  const field = headers['ratelimit']
  let tightest = field === undefined ? undefined : fromField(field)
  for (const [remainingName, resetName] of pairs) {
    const remaining = whole(headers[remainingName])
    const reset = remaining === undefined ? undefined : resetOf(headers[resetName], clock.now())
    if (remaining !== undefined && reset !== undefined) tightest = tighter(tightest, { remaining, reset })
  }
  return tightest
}

const pairs = [
  ['ratelimit-remaining', 'ratelimit-reset'],
  ['x-ratelimit-remaining', 'x-ratelimit-reset'],
  ['x-rate-limit-remaining', 'x-rate-limit-reset'],
] as const

function fromField(field: string): Left | undefined {
  let tightest: Left | undefined
  for (const item of field.slice(0, 1_000).split(',')) {
    const remaining = whole(/;\s*r=(\d{1,15})(?![\d.])/.exec(item)?.[1])
    const seconds = whole(/;\s*t=(\d{1,15})(?![\d.])/.exec(item)?.[1])
    if (remaining !== undefined && seconds !== undefined)
      tightest = tighter(tightest, { remaining, reset: seconds * 1_000 })
  }
  if (tightest) return tightest
  const remaining = whole(/(?:^|[,\s])remaining=(\d{1,15})(?![\d.])/.exec(field)?.[1])
  const seconds = whole(/(?:^|[,\s])reset=(\d{1,15})(?![\d.])/.exec(field)?.[1])
  return remaining === undefined || seconds === undefined ? undefined : { remaining, reset: seconds * 1_000 }
}

/** The one that allows the smaller rate. */
function tighter(a: Left | undefined, b: Left): Left {
  if (a === undefined) return b
  return a.remaining * Math.max(1, b.reset) <= b.remaining * Math.max(1, a.reset) ? a : b
}

function whole(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*\d{1,15}\s*$/.test(text) ? Number(text) : undefined
}

function resetOf(text: string | undefined, now: number): number | undefined {
  if (text === undefined || !/^\s*\d{1,15}(?:\.\d{1,6})?\s*$/.test(text)) return undefined
  const value = Number(text)
  const ms = value > 1e12 ? value - now : value > 1e9 ? value * 1_000 - now : value * 1_000
  return Math.max(0, Math.ceil(ms))
}
