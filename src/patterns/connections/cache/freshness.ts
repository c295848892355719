import type { HttpResponse } from '#kernel/http.ts'
import { httpDate } from '../answers/retry-after.ts'
import type { CacheRules } from './define.ts'
import { directives, span, type Directives } from './directives.ts'

/** What an answer says about its own age and end. All in milliseconds. */
export type Freshness = {
  /** How old it was when it came (RFC 9111 §4.2.3). */
  readonly age: number
  /** How old it may become (§4.2.1, §4.2.2). */
  readonly lifetime: number
  /** Must be asked about every time (`no-cache`, §5.2.2.4). */
  readonly always: boolean
  /** How long past its end it may be given while it is asked for (RFC 5861 §3), and when they fail (§4). */
  readonly whileRevalidate: number
  readonly ifError: number
}

/** `wall`: when the answer came, milliseconds since the epoch; `delay`: how long it took. */
export type Came = { readonly wall: number; readonly delay: number }

type Answer = Pick<HttpResponse, 'status' | 'headers'>
type Headers = HttpResponse['headers']

const day = 86_400_000

/** Reads what an answer says of itself. Pure. */
export function freshness({ status, headers }: Answer, came: Came, rules: CacheRules): Freshness {
  const cc = directives(headers['cache-control'])
  // A private cache: `s-maxage`, `proxy-revalidate` and `private` are about shared ones. With fields named, `no-cache` is taken whole.
  const never = cc.has('must-revalidate') || cc.has('no-cache')
  const allowed = (name: string): number => (never ? 0 : Math.min(span(cc, name) ?? 0, rules.stale))
  return {
    age: ageOf(headers, came),
    lifetime: told(headers, cc, came.wall) ?? supposed(status, headers, came.wall, rules),
    always: cc.has('no-cache'),
    whileRevalidate: allowed('stale-while-revalidate'),
    ifError: allowed('stale-if-error'),
  }
}

/** §4.2.3: the larger of what their clock and ours say, and what caches on the way say. */
function ageOf(headers: Headers, { wall, delay }: Came): number {
  const apparent = Math.max(0, wall - dateOf(headers, wall))
  // Of several the first; what is no number is passed over (§5.1).
  const field = headers['age']?.split(',', 1)[0]!.trim()
  const age = field !== undefined && /^\d+$/.test(field) ? Math.min(Number(field), 2_147_483_648) * 1000 : 0
  return Math.max(apparent, age + delay)
}

/** §4.2.1: the lifetime that the answer itself states. */
function told(headers: Headers, cc: Directives, wall: number): number | undefined {
  const maxAge = span(cc, 'max-age')
  if (maxAge !== undefined) return maxAge
  const { expires } = headers
  if (expires === undefined) return undefined
  // A date that cannot be read is in the past (§5.3), `0` above all.
  return Math.max(0, (httpDate(expires.trim(), wall) ?? 0) - dateOf(headers, wall))
}

/** Of what may be so treated (RFC 9110 §15.1); other answers must say how long they hold. */
const supposable: ReadonlySet<number> = new Set([200, 203, 204])

/** §4.2.2: where it states none. */
function supposed(status: number, headers: Headers, wall: number, { heuristic }: CacheRules): number {
  if (heuristic === undefined || !supposable.has(status)) return 0
  if (heuristic !== '10%') return heuristic
  const modified = httpDate(headers['last-modified']?.trim() ?? '', wall)
  return modified === undefined ? 0 : Math.min(day, Math.max(0, (dateOf(headers, wall) - modified) / 10))
}

function dateOf(headers: Headers, wall: number): number {
  return httpDate(headers['date']?.trim() ?? '', wall) ?? wall
}

/**
 * Whether an answer may be kept (§3), of a request that went well. Only whole ones; none with `Vary: *`, which says that no other request
 * would get it. Where it can neither be given nor asked about, it is not worth keeping.
 */
export function isStorable({ status, headers }: Answer, f: Freshness): boolean {
  if (status < 200 || status > 299 || status === 206) return false
  if (directives(headers['cache-control']).has('no-store')) return false
  if (headers['vary']?.split(',').some((name) => name.trim() === '*')) return false
  return f.lifetime > f.age || f.whileRevalidate > 0 || f.ifError > 0 || hasValidator(headers)
}

export function hasValidator(headers: Headers): boolean {
  return headers['etag'] !== undefined || headers['last-modified'] !== undefined
}

/** What to do with a kept answer of this age: give it; give it and ask; ask first. */
export type Use = 'fresh' | 'stale' | 'ask'

/** §4.2 and §5.2.1: what the answer says, narrowed or widened by what the request says. */
export function use(f: Freshness, age: number, asked: Directives): Use {
  if (f.always || asked.has('no-cache')) return 'ask'
  const left = f.lifetime - age
  const most = span(asked, 'max-age')
  const least = span(asked, 'min-fresh') ?? 0
  if (left > 0 && left >= least && (most === undefined || age <= most)) return 'fresh'
  return asked.size === 0 && left > -f.whileRevalidate ? 'stale' : 'ask'
}
