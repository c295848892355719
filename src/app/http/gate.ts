import { fault, faultRecord, isFault, toFault, type Fault } from '#kernel/fault.ts'
import type { Door, Inbound, Reply } from '#kernel/http.ts'
import type { Log } from '#kernel/log.ts'
import type { Clock } from '#kernel/clock.ts'
import { redactor, type Redactor } from '#kernel/redact.ts'
import { problem } from './problem.ts'

export type HttpOptions = {
  readonly clock: Clock
  readonly log: Log
  /** Masks what is logged. Default: by field names and card numbers. */
  readonly redact?: Redactor
  /** Called once for every request, refused and broken ones too. `door` and `code` are empty where there is none. */
  readonly count?: (door: string, status: number, code: string) => void
  readonly limits?: Partial<HttpLimits>
}

export type HttpLimits = {
  /** Header fields of one request. Default 100. (All of them together: 16 KiB.) */
  readonly headers: number
  /** Milliseconds from the head of a request to its reply, body included. Default 30,000. */
  readonly request: number
  /** Bytes of bodies held at once, over all requests. Default 64 MiB. */
  readonly held: number
}

export const defaultLimits: HttpLimits = { headers: 100, request: 30_000, held: 64 * 1_048_576 }

/** What both faces of the server (sockets and web types) decide the same way. */
export type Gate = {
  readonly limits: HttpLimits
  /** The door of a method and an exact path, or `input.not_found` / `input.method`. */
  find(method: string, path: string): Door | Fault
  /** What refuses a request by its headers, before a byte of its body is read. */
  check(door: Door, headers: Inbound['headers']): Fault | undefined
  /** Takes room for bytes of a body; false when too much is held already. */
  take(bytes: number): boolean
  give(bytes: number): void
  /** The door's reply, or the problem that it rejected with. Never rejects. */
  answer(door: Door, request: Inbound): Promise<Answer>
  count(door: string, status: number, code: string): void
}

export type Answer = { readonly reply: Reply; readonly code: string }

/** Throws `config.duplicate` for two doors of one path and method, `config.option` for a method that is never served. */
export function gate(doors: readonly Door[], options: HttpOptions): Gate {
  const paths = table(doors)
  const limits = { ...defaultLimits, ...options.limits }
  const redact = options.redact ?? redactor()
  let held = 0
  const failed = (door: Door, thrown: unknown): Answer => {
    const f = toFault(thrown, 'bug')
    if (!isFault(thrown) || f.kind === 'bug' || f.kind === 'config') {
      options.log.write('error', 'http.failed', { door: door.name, fault: redact.value(faultRecord(f)) })
    }
    return { reply: problem(f), code: f.code }
  }
  return {
    limits,
    find(method, path) {
      const methods = paths.get(path)
      if (!methods) return fault('input.not_found')
      return methods.get(method) ?? fault('input.method', { detail: { allow: [...methods.keys()] } })
    },
    check(door, headers) {
      const coding = headers['content-encoding']
      if (coding !== undefined && coding.toLowerCase() !== 'identity') return fault('input.encoding')
      const length = headers['content-length']
      if (length !== undefined && Number(length) > door.maxBytes) return tooLarge(door)
      return undefined
    },
    take(bytes) {
      if (held + bytes > limits.held) return false
      held += bytes
      return true
    },
    give(bytes) {
      held -= bytes
    },
    answer(door, request) {
      try {
        return door.handle(request).then(
          (reply) => ({ reply, code: '' }),
          (e: unknown) => failed(door, e),
        )
      } catch (e) {
        return Promise.resolve(failed(door, e))
      }
    },
    count: options.count ?? (() => undefined),
  }
}

export function tooLarge(door: Door): Fault {
  return fault('input.too_large', { message: `the body is longer than ${door.maxBytes} bytes` })
}

function table(doors: readonly Door[]): ReadonlyMap<string, ReadonlyMap<string, Door>> {
  const paths = new Map<string, Map<string, Door>>()
  for (const door of doors) {
    const methods = paths.get(door.path) ?? new Map<string, Door>()
    paths.set(door.path, methods)
    for (const method of door.methods) {
      if (method === 'TRACE' || method === 'CONNECT' || method !== method.toUpperCase()) {
        throw fault('config.option', { message: `${door.name}: the method ${method} is never served` })
      }
      const other = methods.get(method)
      if (other) {
        throw fault('config.duplicate', {
          message: `${other.name} and ${door.name} both serve ${method} ${door.path}; give one of them another path`,
        })
      }
      methods.set(method, door)
    }
  }
  return paths
}
