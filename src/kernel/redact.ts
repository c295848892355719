/**
 * Masking before anything is logged, stored in a call record, shown or exported (P8). Three rules, each sufficient:
 * the name of the field, the value of a known secret anywhere inside a string, and a payment card number (Luhn).
 */
export type Redactor = {
  /** A masked copy: same shape, bounded depth (20), entries (1,000 a level) and string length (16,384). */
  value(input: unknown): unknown
  text(input: string): string
  /** Whether a value that was learned stands in the text. */
  knows(input: string): boolean
  /** Registers a value that must never appear in any output. Shorter than 6 characters is ignored: it would mask words. */
  learn(secret: string): void
  /** Of a value that has ended: what was learned is kept for ever otherwise. */
  forget(secret: string): void
}

const named =
  /^(?:.*[-_.])?(?:authorization|cookie|passwd|password|passphrase|pwd|secret|token|api[-_]?key|apikey|private[-_]?key|access[-_]?key|credential|credentials|signature|session[-_]?id|client[-_]?secret|assertion|code[-_]?verifier|pin|cvc|cvv)(?:[-_.](?:id|value|hash|256|v3))?$/i
const camel = /([a-z0-9])([A-Z])/g
const card = /\b(?:\d[ -]?){12,18}\d\b/g
export const mask = '[masked]'
/** Characters of a text that are kept. */
const shown = 16_384

/** Whether a field of this name is masked whole: `authorization`, `x-api-key`, `clientSecret`, `refresh_token`, `cvc` … */
export function isSensitiveName(name: string): boolean {
  return named.test(name.replace(camel, '$1_$2'))
}

export function redactor(options: { readonly fields?: readonly string[] } = {}): Redactor {
  const extra = new Set((options.fields ?? []).map((f) => f.toLowerCase()))
  const secrets = new Set<string>()
  const text = (input: string): string => {
    // Masked first, cut afterwards: a secret that stands across the cut must not show its first half.
    let out = input.length > 4 * shown ? input.slice(0, 4 * shown) : input
    for (const s of secrets) if (out.includes(s)) out = out.replaceAll(s, mask)
    out = out.replace(card, (digits) => (luhn(digits) ? mask : digits))
    return input.length > shown ? `${out.slice(0, shown)}… (${input.length} characters)` : out
  }
  const value = (input: unknown, depth: number): unknown => {
    if (typeof input === 'string') return text(input)
    if (typeof input !== 'object' || input === null) return typeof input === 'bigint' ? `${input}` : input
    if (depth > 20) return '[deep]'
    if (ArrayBuffer.isView(input)) return `[${input.byteLength} bytes]`
    if (Array.isArray(input)) return input.slice(0, 1000).map((v) => value(v, depth + 1))
    if (typeof (input as { toJSON?: unknown }).toJSON === 'function') {
      return value((input as { toJSON(): unknown }).toJSON(), depth + 1)
    }
    const out: Record<string, unknown> = {}
    let left = 1000
    for (const [name, v] of Object.entries(input)) {
      if (left-- === 0) break
      if (name === '__proto__') continue
      out[name] =
        v !== undefined && v !== null && (extra.has(name.toLowerCase()) || isSensitiveName(name))
          ? mask
          : value(v, depth + 1)
    }
    return out
  }
  return {
    value: (input) => value(input, 0),
    text,
    knows: (input) => secrets.values().some((s) => input.includes(s)),
    learn(secret) {
      if (secret.length >= 6) secrets.add(secret)
    },
    forget: (secret) => void secrets.delete(secret),
  }
}

function luhn(text: string): boolean {
  let sum = 0
  let double = false
  let count = 0
  for (let i = text.length - 1; i >= 0; i--) {
    const d = text.charCodeAt(i) - 48
    if (d < 0 || d > 9) continue
    count++
    sum += double ? (d > 4 ? d * 2 - 9 : d * 2) : d
    double = !double
  }
  return count >= 13 && sum % 10 === 0 && !/^0+$/.test(text)
}
