import { codes, type Code, type FaultKind } from './codes.ts'

export type FaultOptions = {
  /** For people; may change; must hold no secret and no payload. Defaults to the first sentence of the code's help. */
  readonly message?: string
  /** For programs: names, paths, numbers, masked values. Never a payload. */
  readonly detail?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
  /** Milliseconds to wait before trying again, when somebody told us. */
  readonly retryAfter?: number
}

/**
 * The one error type. `code` is stable and dotted, `kind` decides what the engine does next, `message` is for people.
 * Test with `isFault(e, 'connection.throttled')`, never with instanceof and never on the text: two copies of this
 * package in one process still understand each other's faults.
 */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: string
  readonly kind: FaultKind
  readonly detail: Readonly<Record<string, unknown>>
  readonly retryAfter: number | undefined

  constructor(code: string, kind: FaultKind, options: FaultOptions = {}) {
    super(options.message ?? firstSentence(code), options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.kind = kind
    this.detail = options.detail ?? {}
    this.retryAfter = options.retryAfter
  }

  /** What may be stored and shown: code, kind, message, detail, and the chain of causes by name and message only. */
  toJSON(): FaultRecord {
    return faultRecord(this)
  }
}

export type FaultRecord = {
  readonly code: string
  readonly kind: FaultKind
  readonly message: string
  readonly detail?: Readonly<Record<string, unknown>>
  readonly retryAfter?: number
  readonly causes?: readonly string[]
}

/** Makes a fault of the catalogue. */
export function fault(code: Code, options?: FaultOptions): Fault {
  return new Fault(code, codes[code].kind, options)
}

/**
 * Stops the work by a rule of yours: throws a fault of kind `rejected` under your own code. It is not retried; a
 * message is parked as dead, a caller gets 422.
 *
 * @example
 * if (!cart.open) reject('cart.closed', { cart: cart.id })
 */
export function reject(code: string, detail?: Readonly<Record<string, unknown>>): never {
  throw new Fault(code, 'rejected', { message: code, ...(detail ? { detail } : {}) })
}

/** Whether `e` is a fault, of this code if one is given. */
export function isFault(e: unknown, code?: string): e is Fault {
  if (typeof e !== 'object' || e === null) return false
  return asked(() => 'name' in e && e.name === 'Fault' && 'code' in e && (code === undefined || e.code === code), false)
}

/**
 * Any thrown value as a fault: faults pass through, AbortErrors become `cancelled`, all else gets `code`: what only calls
 * itself a fault too. Never throws, whatever is thrown.
 */
export function toFault(e: unknown, code: Code): Fault {
  if (isFault(e) && asked(() => isWhole(e), false)) return e
  if (asked(() => e instanceof Error && e.name === 'AbortError', false)) return fault('cancelled', { cause: e })
  return fault(code, { cause: e, message: describe(e) })
}

function isWhole(f: Fault): boolean {
  const { code, kind, message, detail } = f as Partial<Record<keyof Fault, unknown>>
  return [code, kind, message].every((v) => typeof v === 'string') && typeof detail === 'object' && detail !== null
}

/** What a thrown value says of itself, or `otherwise`: getters and proxies of others may throw when they are looked at. */
function asked<T>(look: () => T, otherwise: T): T {
  try {
    return look()
  } catch {
    return otherwise
  }
}

export function faultRecord(f: Fault): FaultRecord {
  const causes: string[] = []
  for (let c: unknown = f.cause; c !== undefined && causes.length < 5; c = causeOf(c)) causes.push(describe(c))
  return {
    code: f.code,
    kind: f.kind,
    message: f.message,
    ...(Object.keys(f.detail).length > 0 ? { detail: f.detail } : {}),
    ...(f.retryAfter === undefined ? {} : { retryAfter: f.retryAfter }),
    ...(causes.length > 0 ? { causes } : {}),
  }
}

function causeOf(e: unknown): unknown {
  return asked(() => (e instanceof Error ? e.cause : undefined), undefined)
}

/** One bounded line about any thrown value, undefined and exotic objects included. */
function describe(e: unknown): string {
  return asked(
    () => (e instanceof Error ? `${e.name}: ${e.message}` : `thrown ${typeof e}: ${String(e)}`).slice(0, 500),
    `thrown ${typeof e}`,
  )
}

function firstSentence(code: string): string {
  const help = Object.hasOwn(codes, code) ? codes[code as Code].help : code
  const end = help.indexOf('. ')
  return end < 0 ? help : help.slice(0, end + 1)
}
