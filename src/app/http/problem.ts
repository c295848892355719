import { codes, type Code, type FaultKind } from '#kernel/codes.ts'
import type { Fault } from '#kernel/fault.ts'
import type { Reply } from '#kernel/http.ts'
import type { Issue } from '#kernel/schema.ts'

/** For a code of a user's own (`reject('cart.closed')`), which has no row in the catalogue. */
const byKind: Readonly<Record<FaultKind, number>> = {
  transient: 503,
  throttled: 429,
  ambiguous: 502,
  credential: 502,
  conflict: 409,
  rejected: 422,
  invalid: 400,
  config: 500,
  cancelled: 503,
  bug: 500,
}
const titles: Readonly<Record<number, string>> = {
  500: 'Internal error',
  502: 'Bad gateway',
  503: 'Service unavailable',
  504: 'Gateway timeout',
}
/** Told with every 503 and 429 that names no wait of its own. */
const defaultWait = 5_000

/** The HTTP status of a fault: its row's, or by its kind. */
export function statusOf(f: Fault): number {
  return Object.hasOwn(codes, f.code) ? codes[f.code as Code].status : (byKind[f.kind] ?? 500)
}

/**
 * A fault as problem+json (RFC 9457): `type` `urn:fairlead:<code>`, `title`, `status`, `code`, below 500 the message as
 * `detail` and the `issues` of `schema.invalid` with JSON pointers. Never a cause, a stack, or `detail` of the fault;
 * faults of kind `bug` and `config` show as `bug`, because how we are built and set up is no caller's business.
 */
export function problem(f: Fault): Reply {
  const status = statusOf(f)
  const code = f.kind === 'bug' || f.kind === 'config' ? 'bug' : f.code
  const title = titles[status] ?? titleOf(code)
  const issues = status < 500 ? issuesOf(f) : undefined
  const body = {
    type: `urn:fairlead:${code}`,
    title,
    status,
    ...(status < 500 && f.message !== title ? { detail: f.message.slice(0, 1_000) } : {}),
    code,
    ...(issues ? { issues } : {}),
  }
  return { status, headers: headersOf(f, status), body: JSON.stringify(body) }
}

function headersOf(f: Fault, status: number): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  }
  const wait = f.retryAfter ?? (status === 503 || status === 429 ? defaultWait : undefined)
  if (wait !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(wait / 1000)))
  if (f.code === 'input.method' && Array.isArray(f.detail['allow'])) headers['allow'] = f.detail['allow'].join(', ')
  return headers
}

function titleOf(code: string): string {
  if (!Object.hasOwn(codes, code)) return code
  const help = codes[code as Code].help
  const end = help.indexOf('. ')
  return end < 0 ? help : help.slice(0, end + 1)
}

function issuesOf(f: Fault): { pointer: string; detail: string }[] | undefined {
  const issues = f.detail['issues']
  if (f.code !== 'schema.invalid' || !Array.isArray(issues)) return undefined
  return (issues as Partial<Issue>[])
    .slice(0, 20)
    .map((i) => ({ pointer: pointer(i.path ?? ''), detail: i.message ?? 'does not fit' }))
}

/** `items[0].price` → `#/items/0/price` (RFC 6901, in its URI fragment form as RFC 9457 shows it). */
function pointer(path: string): string {
  const parts = path.replaceAll(/\[(\d+)\]/g, '.$1').split('.')
  return `#${parts
    .filter((part) => part !== '')
    .map((part) => `/${encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))}`)
    .join('')}`
}
