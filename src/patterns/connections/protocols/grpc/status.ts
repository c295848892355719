import type { Code } from '#kernel/codes.ts'
import type { Meant } from '../../answers/classify.ts'

/** Name and consequence of a status (gRPC core, statuscodes). */
const statuses: readonly (readonly [string, Code])[] = [
  ['OK', 'connection.response'],
  ['CANCELLED', 'connection.failed'],
  ['UNKNOWN', 'connection.failed'],
  ['INVALID_ARGUMENT', 'connection.rejected'],
  ['DEADLINE_EXCEEDED', 'connection.timeout'],
  ['NOT_FOUND', 'connection.not_found'],
  ['ALREADY_EXISTS', 'connection.conflict'],
  ['PERMISSION_DENIED', 'connection.forbidden'],
  ['RESOURCE_EXHAUSTED', 'connection.throttled'],
  ['FAILED_PRECONDITION', 'connection.rejected'],
  ['ABORTED', 'connection.conflict'],
  ['OUT_OF_RANGE', 'connection.rejected'],
  ['UNIMPLEMENTED', 'connection.rejected'],
  ['INTERNAL', 'connection.failed'],
  ['UNAVAILABLE', 'connection.unavailable'],
  ['DATA_LOSS', 'connection.failed'],
  ['UNAUTHENTICATED', 'connection.credential'],
]

type Headers = Readonly<Record<string, string>>

/** The status that the fields of an answer name; undefined when they name none. An unknown number is UNKNOWN, as the protocol asks. */
export function statusOf(fields: Headers): number | undefined {
  const text = fields['grpc-status']
  if (text === undefined) return undefined
  const status = /^\d{1,2}$/.test(text) ? Number(text) : 2
  return status < statuses.length ? status : 2
}

/**
 * What a status that is not OK means. When to come back is told by `grpc-retry-pushback-ms`, or a `google.rpc.RetryInfo` among the
 * details. The message of the status is theirs and may quote what was sent: it is in the call record only.
 */
export function meaningOf(status: number, fields: Headers): Meant {
  const [name, code] = statuses[status]!
  const waits = code === 'connection.throttled' || code === 'connection.unavailable'
  const wait = waits ? retryDelay(fields) : undefined
  return { code, detail: { grpc: name }, ...(wait === undefined ? {} : { retryAfter: wait }) }
}

function retryDelay(fields: Headers): number | undefined {
  const pushback = fields['grpc-retry-pushback-ms']
  if (pushback !== undefined && /^\d{1,9}$/.test(pushback)) return Number(pushback)
  const details = fields['grpc-status-details-bin']
  if (details === undefined || details.length > 16_384) return undefined
  try {
    return retryInfo(Uint8Array.from(atob(details.split(',')[0]!.trim()), (c) => c.charCodeAt(0)))
  } catch {
    return undefined
  }
}

/** `google.rpc.Status`: 3 = details; `Any`: 1 = type, 2 = value; `RetryInfo`: 1 = delay; `Duration`: 1 = seconds, 2 = nanos. */
function retryInfo(status: Uint8Array): number | undefined {
  for (const any of fieldsOf(status, 3)) {
    const [type] = fieldsOf(any, 1)
    if (!type || !new TextDecoder().decode(type).endsWith('/google.rpc.RetryInfo')) continue
    const [delay] = fieldsOf(fieldsOf(any, 2)[0] ?? none, 1)
    if (!delay) return undefined
    return Math.ceil(number(delay, 1) * 1_000 + number(delay, 2) / 1e6)
  }
  return undefined
}

const none = new Uint8Array(0)

/** The values of a field with a length (wire type 2). Throws RangeError for what ends early. */
function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = []
  walk(message, (field, value) => {
    if (field === wanted && value instanceof Uint8Array) found.push(value)
  })
  return found
}

function number(message: Uint8Array, wanted: number): number {
  let found = 0
  walk(message, (field, value) => {
    if (field === wanted && typeof value === 'number') found = value
  })
  return found
}

function walk(message: Uint8Array, see: (field: number, value: Uint8Array | number) => void): void {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('it ends early')
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a number is too long')
  }
  while (at < message.byteLength) {
    const tag = varint()
    const [field, type] = [Math.floor(tag / 8), tag % 8]
    if (type === 0) see(field, varint())
    else if (type === 1) at += 8
    else if (type === 5) at += 4
    else if (type === 2) {
      const length = varint()
      if (at + length > message.byteLength) throw new RangeError('it ends early')
      see(field, message.subarray(at, at + length))
      at += length
    } else throw new RangeError('a wire type is unknown')
  }
}
