import { codes } from '#kernel/codes.ts'
import { fault, isFault } from '#kernel/fault.ts'
import { mask } from '#kernel/redact.ts'
import { operationsOf } from '#patterns/connections/define.ts'
import { prepare, type Rendered } from '#patterns/connections/operation.ts'
import { longestPath } from '#patterns/connections/records/record.ts'
import { inputOf } from '#patterns/connections/unrender.ts'
import { parseTemplate } from '#patterns/connections/template.ts'
import { callRecord, numbered, type NumberedCall } from './call-record.ts'
import { audit, reasonOf, type OperationDeps } from './deps.ts'

export type Resend = {
  readonly call: number
  /** Instead of what was sent: checked by the operation's schema. Needed where the record does not hold all of it. */
  readonly input?: unknown
  /** Under a new idempotency key, so that it counts as another request. Default: the key of the record, where it had one. */
  readonly newKey?: boolean
  /** Also where it may have its effect a second time: it has happened, or nobody knows, and no key makes two of it one. */
  readonly again?: boolean
  readonly reason?: string
}

export type Resent = {
  /** The record of the new call; absent where it is not kept. */
  readonly record?: NumberedCall
  readonly outcome: string
  readonly message?: string
}

/**
 * Sends a call once more, through its connection with all policies, under the key of the first. Refused with
 * `call.incomplete` when the record does not hold all that was sent (masked, or cut), with `call.settled` when it may have
 * its effect twice. How it ended is the result, not a rejection. Nobody waits for the answer: to go on with what depended on it,
 * replay its message.
 */
export async function resend(deps: OperationDeps, query: Resend): Promise<Resent> {
  const record = await callRecord(deps, query.call)
  const { connection: name, operation: of } = record
  const connection = deps.connections.get(name)
  const definition = deps.definitions.connections.get(name)
  const operation = definition && operationsOf(definition).find((o) => o.name === of)
  if (!connection || !definition || !operation) {
    throw fault('app.unknown', { message: `the operation ${name}.${of} is not in the running definitions` })
  }
  const ready = prepare(operation, definition.options)
  const template = parseTemplate(operation.spec.http)
  if ('problem' in template) throw fault('bug', { message: template.problem })
  const key = query.newKey || !ready.keyed ? undefined : record.key
  assertOnce(record, query, ready.natural || (key !== undefined && key !== ''))
  const as = query.input === undefined ? whole(record, credentialOf(definition.options.auth)) : undefined
  const { journal, runtime } = deps
  await journal.commit.add(
    {
      writes: [
        audit(deps, 'resend', `call/${record.call}`, {
          operation: `${name}.${of}`,
          newKey: query.newKey === true,
          input: query.input === undefined ? 'as it was' : 'given',
          reason: reasonOf(query.reason),
        }),
      ],
    },
    'durable',
  )
  const [newest] = await runtime.store.read({ read: 'calls', connection: name, limit: 1 })
  const correlation = record.correlation ?? record.id
  const input = as === undefined ? query.input : inputOf(template, { method: record.method, ...as }, ready.protocol)
  const options = {
    correlation,
    resent: true as const,
    ...(key === undefined ? {} : { key }),
    ...(as === undefined ? {} : { as }),
  }
  const ended = await connection.call(operation, input, options).then(
    () => ({ outcome: 'ok' }),
    (e: unknown) => {
      if (!isFault(e)) throw e
      return { outcome: e.code, message: e.message }
    },
  )
  await journal.calls.flush()
  const rows = await runtime.store.read({ read: 'calls', connection: name, limit: 50 })
  const mine = rows
    .filter((r) => r.operation === of && r.id > (newest?.id ?? 0))
    .map(numbered)
    .find((r) => r.correlation === runtime.redact.text(correlation))
  return { ...ended, ...(mine === undefined ? {} : { record: mine }) }
}

function assertOnce(record: NumberedCall, { again }: Resend, once: boolean): void {
  const kind = Object.hasOwn(codes, record.outcome) ? codes[record.outcome as keyof typeof codes].kind : undefined
  const happened = record.outcome === 'ok' ? 'has happened' : kind === 'ambiguous' ? 'may have happened' : undefined
  if (once || again || happened === undefined) return
  throw fault('call.settled', {
    message: `call ${record.call} ${happened}, and without its idempotency key another one may have its effect twice`,
    detail: { call: record.call },
  })
}

/** What was sent, as the record has it. */
function whole(record: NumberedCall, credential: string | undefined): Rendered {
  const { request, call } = record
  const path = credential === undefined ? record.path : withoutParameter(record.path, credential)
  const { body } = request
  const missing = [path, body ?? ''].some((text) => text.includes(mask) || /… \(\d+ bytes\)$/.test(text))
  if (missing || path === '' || record.path.length >= longestPath || /^\[\d+ bytes\]$/.test(body ?? '')) {
    throw fault('call.incomplete', {
      message: `the record of call ${call} does not hold all that was sent: part of it is masked or cut`,
      detail: { call },
    })
  }
  return { path, body }
}

function credentialOf(auth: unknown): string | undefined {
  const query = typeof auth === 'object' && auth !== null ? (auth as { readonly query?: unknown }).query : undefined
  return typeof query === 'string' ? encodeURIComponent(query) : undefined
}

function withoutParameter(path: string, name: string): string {
  const [before = '', query] = path.split('?')
  const rest = (query ?? '').split('&').filter((pair) => pair !== '' && pair.split('=')[0] !== name)
  return rest.length === 0 ? before : `${before}?${rest.join('&')}`
}
