import { Buffer } from 'node:buffer'
import { mask, type Redactor } from '#kernel/redact.ts'
import { maskXml } from '#patterns/connections/records/mask-xml.ts'
import { masking, type Masking } from '#patterns/connections/records/masking.ts'
import { parseJson } from '#kernel/json.ts'
import type { TapedBody } from './tape.ts'

export type DisguiseOptions = {
  /** Fields that may differ from run to run: left out of a comparison. A name, or a dotted path (`data.created`). */
  readonly volatile?: readonly string[] | undefined
  /** Names of fields to mask beside those that records mask. */
  readonly mask?: readonly string[] | undefined
}

/** What stands in a tape for a value that differs from run to run. */
const varies = '[varies]'

/**
 * Takes out of an exchange what must not be kept or compared. In a request what is masked is `[masked]`, so it fits whatever
 * is sent later. In an answer it becomes another value of the same form, the same for the same value
 * (`person1@example.com`, `+15550000001`, `masked-1`), so that what parses the answer still can.
 */
export class Disguise {
  readonly #masking: Masking
  readonly #volatile: ReadonlySet<string>
  readonly #others = new Map<string, string>()
  readonly #counts = { mail: 0, phone: 0, text: 0, number: 0 }

  constructor(redact: Redactor, options: DisguiseOptions) {
    this.#masking = masking({ redact, fields: options.mask ?? [] })
    this.#volatile = new Set(options.volatile)
  }

  /** Path and query as they are compared. */
  path(path: string): string {
    const at = path.indexOf('?')
    if (at < 0) return this.#masking.text(path)
    const query = path
      .slice(at + 1)
      .split('&')
      .map((pair) => {
        const [name = '', ...rest] = pair.split('=')
        const shown = plain(name)
        if (this.#volatile.has(shown)) return `${name}=${varies}`
        return this.#masking.hides(shown) ? `${name}=${mask}` : this.#masking.text([name, ...rest].join('='))
      })
      .join('&')
    return `${this.#masking.text(path.slice(0, at))}?${query}`
  }

  headers(headers: Readonly<Record<string, string>>): Record<string, string> {
    const kept: Record<string, string> = {}
    for (const [name, value] of Object.entries(headers)) {
      if (passing.test(name) || this.#volatile.has(name)) continue
      kept[name] = this.#masking.hides(name) ? mask : this.#masking.text(value)
    }
    return kept
  }

  request(body: string | Uint8Array | undefined, type: string): TapedBody | undefined {
    return this.#body(body, type, (name, value) => (this.#masking.hides(name) && value !== null ? mask : undefined))
  }

  answer(body: Uint8Array, type: string): TapedBody | undefined {
    return this.#body(body, type, (name, value) => (this.#masking.hides(name) ? this.#other(value) : undefined), true)
  }

  #body(
    body: string | Uint8Array | undefined,
    type: string,
    instead: (name: string, value: unknown) => unknown,
    answer = false,
  ): TapedBody | undefined {
    if (body === undefined || body.length === 0) return undefined
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    try {
      return { json: this.#walk(parseJson(bytes), '', instead, answer) }
    } catch {
      // Not JSON: text, or bytes.
    }
    let text: string
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    } catch {
      return { base64: Buffer.from(bytes).toString('base64') }
    }
    if (type.includes('form-urlencoded')) return { text: this.path(`?${text}`).slice(1) }
    if (/[/+]xml\b/.test(type)) return { text: maskXml(text, this.#masking) }
    const lines = text.split('\n').map((line) => this.#line(line, instead, answer))
    return { text: lines.join('\n') }
  }

  /** A line of text; one of a stream (NDJSON, the data of an event) holds JSON whose fields have names. */
  #line(line: string, instead: (name: string, v: unknown) => unknown, answer: boolean): string {
    const [, field = '', json] = /^(data: ?)?([{[].*)$/.exec(line) ?? []
    try {
      if (json !== undefined)
        return field + JSON.stringify(this.#walk(parseJson(Buffer.from(json)), '', instead, answer))
    } catch {
      // It only began like JSON.
    }
    return answer ? this.#text(line) : this.#masking.text(line)
  }

  #walk(value: unknown, path: string, instead: (name: string, v: unknown) => unknown, answer: boolean): unknown {
    if (typeof value === 'string') return answer ? this.#text(value) : this.#masking.text(value)
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((v) => this.#walk(v, path, instead, answer))
    const out = new Map<string, unknown>()
    for (const [name, v] of Object.entries(value)) {
      const at = path === '' ? name : `${path}.${name}`
      // An answer keeps them: whoever reads it needs a value. They are left out when two are compared.
      if (!answer && this.#varies(name, at)) out.set(name, varies)
      else out.set(name, instead(name, v) ?? this.#walk(v, at, instead, answer))
    }
    return Object.fromEntries(out)
  }

  #varies(name: string, path: string): boolean {
    return this.#volatile.has(name) || this.#volatile.has(path)
  }

  /** A text of an answer: each masked place becomes another value of its form. */
  #text(text: string): string {
    if (this.#masking.text(text) === text) return text
    const known = this.#others.get(text)
    if (known !== undefined) return known
    const trimmed = text.trim()
    const other = this.#masking.text(trimmed) === mask ? (this.#other(trimmed) as string) : this.#masking.text(text)
    this.#others.set(text, other)
    return other
  }

  /** Another value of the same form. */
  #other(value: unknown): unknown {
    if (value === null || typeof value === 'boolean') return value
    if (typeof value === 'number') return 1_000 + ++this.#counts.number
    if (Array.isArray(value)) return value.map((v) => this.#other(v))
    if (typeof value === 'object') {
      return Object.fromEntries(Object.entries(value).map(([name, v]) => [name, this.#other(v)]))
    }
    const text = typeof value === 'string' ? value : 'other'
    const known = this.#others.get(text)
    if (known !== undefined) return known
    const other = /^[^\s@]+@[^\s@]+$/.test(text)
      ? `person${++this.#counts.mail}@example.com`
      : /^\+[\d ().-]{8,}$/.test(text)
        ? `+1555${String(++this.#counts.phone).padStart(7, '0')}`
        : `masked-${++this.#counts.text}`
    this.#others.set(text, other)
    return other
  }
}

/** Of one connection, one moment or one hop, and compared by nobody. */
const passing =
  /^(?:user-agent|accept-encoding|connection|keep-alive|transfer-encoding|content-length|date|age|expires|etag|last-modified|set-cookie|idempotency-key|traceparent|tracestate|via|server|server-timing|alt-svc|cf-.*|.*request-id|.*correlation-id|.*trace-?id|report-to|nel|x-runtime|strict-transport-security)$/

function plain(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
