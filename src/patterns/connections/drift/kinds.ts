/** What a value of an answer is: its JSON type, text divided by the formats that mean something to a reader. */
export type Kind =
  | 'null'
  | 'boolean'
  | 'number'
  | 'object'
  | 'list'
  | 'text'
  | 'date-time'
  | 'date'
  | 'uuid'
  | 'email'
  | 'url'
  | 'digits'
  | 'decimal'

const textual: ReadonlySet<Kind> = new Set(['text', 'date-time', 'date', 'uuid', 'email', 'url', 'digits', 'decimal'])

/** Every kind, in the order that they are stored by. New ones go to the end. */
export const kinds: readonly Kind[] = ['null', 'boolean', 'number', 'object', 'list', ...textual]

/** Two kinds of one type: a date and other text. */
export function sameType(a: Kind, b: Kind): boolean {
  return a === b || (textual.has(a) && textual.has(b))
}

export function isText(kind: Kind): boolean {
  return textual.has(kind)
}

export function kindOf(value: unknown): Kind {
  if (value === null) return 'null'
  if (typeof value === 'string') return formatOf(value)
  if (typeof value === 'object') return Array.isArray(value) ? 'list' : 'object'
  return typeof value === 'boolean' ? 'boolean' : 'number'
}

/** Decided by the first character where it can be: most text of an answer is none of these. */
function formatOf(text: string): Kind {
  if (text.length === 0 || text.length > 300) return 'text'
  const c = text.charCodeAt(0)
  if ((c >= 48 && c <= 57) || c === 45) {
    if (/^-?\d{1,40}$/.test(text)) return 'digits'
    if (/^-?\d{1,30}\.\d{1,30}$/.test(text)) return 'decimal'
    if (/^\d{4}-\d\d-\d\d$/.test(text)) return 'date'
    if (/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?$/.test(text)) return 'date-time'
  }
  if (text.length === 36 && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return 'uuid'
  if (c === 104 && /^https?:\/\//.test(text)) return 'url'
  const at = text.indexOf('@')
  return at > 0 && text.length <= 254 && /^[^\s@]+@[^\s@]+\.[^\s@.]+$/.test(text) ? 'email' : 'text'
}

/**
 * Whether text may be one of few fixed words: short, without spaces, in one case of letters. What people are called, and what they
 * write, does not look so and is not kept.
 */
export function isWord(text: string): boolean {
  return text.length <= 40 && (/^[a-z][a-z0-9_.:/-]*$/.test(text) || /^[A-Z][A-Z0-9_-]*$/.test(text))
}
