import { mask } from '#kernel/redact.ts'
import { maskXml } from './mask-xml.ts'
import type { Masking } from './masking.ts'

/** Most characters of a body that a call record shows. */
export const shown = 4_096
/**
 * Characters looked at. What lies between `shown` and this is masked and then dropped, so that a secret of up to 4,096
 * characters that is cut by the end of the window is never shown by half.
 */
export const looked = 8_192

/**
 * A body as a call record may show it: secrets, sensitive fields and card numbers masked, at most 4,096 characters, binary
 * as its size. JSON and forms are masked by field name without being parsed whole, so the cost is bounded by the window and
 * not by the body, and a body cut in the middle or not quite JSON is masked as well.
 */
export function shownBody(body: string | Uint8Array, type: string, size: number, masking: Masking): string {
  const text = typeof body === 'string' ? body.slice(0, looked) : lossy.decode(body.subarray(0, looked))
  if (typeof body !== 'string' && isBinary(text)) return `[${size} bytes]`
  const cut = (typeof body === 'string' ? body.length : body.byteLength) > looked || size > looked
  const named = /[/+]xml\b/.test(type)
    ? maskXml(text, masking)
    : type.includes('form-urlencoded')
      ? maskForm(text, masking)
      : maskJson(text, masking)
  const safe = masking.text(named)
  if (cut) return `${safe.slice(0, Math.max(0, Math.min(shown, safe.length - shown)))}… (${size} bytes)`
  return safe.length > shown ? `${safe.slice(0, shown)}… (${size} bytes)` : safe
}

const lossy = new TextDecoder('utf-8')

function isBinary(text: string): boolean {
  // A cut may leave one broken character at the end; more than that is not text.
  return text.includes('\0') || text.slice(0, -3).includes('\ufffd')
}

/**
 * JSON text with the values of sensitive names replaced, whatever they are: text, number, object or list. Walks from quote to
 * quote. A string with escapes is decoded before secrets are looked for in it, since `\u0073ecret` is the same text.
 */
export function maskJson(text: string, masking: Masking): string {
  let out = ''
  let from = 0
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', from)) {
    out += text.slice(from, at)
    const end = endOfString(text, at)
    const token = text.slice(at, end)
    from = end
    const next = skipSpace(text, end)
    if (text.charCodeAt(next) !== colon) {
      out += token.includes('\\') ? unescaped(token, masking) : token
      continue
    }
    out += token
    if (!masking.hides(token.includes('\\') ? (decoded(token) ?? token) : token.slice(1, -1))) continue
    const value = skipSpace(text, next + 1)
    if (text.startsWith('null', value) || value >= text.length) continue
    out += `${text.slice(end, value)}"${mask}"`
    from = endOfValue(text, value)
  }
  return out + text.slice(from)
}

/** `a=1&password=[masked]`; a name with brackets (`card[number]`) is judged by each of its parts. */
export function maskForm(text: string, masking: Masking): string {
  return text
    .split('&')
    .map((pair) => {
      const at = pair.indexOf('=')
      if (at < 0) return pair
      const name = plain(pair.slice(0, at))
      if (name.split(/[[\].]+/).some((part) => masking.hides(part))) return `${pair.slice(0, at)}=${mask}`
      // A secret may be spelled with percent signs: look for it decoded, show it decoded if it was there.
      const value = plain(pair.slice(at + 1))
      const masked = masking.text(value)
      return masked === value ? pair : `${pair.slice(0, at)}=${masked}`
    })
    .join('&')
}

const colon = 58

function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === 92) slashes++
    if (slashes % 2 === 0) return at + 1
  }
  return text.length
}

function endOfValue(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const c = text[at]!
    if (c === '"') {
      at = endOfString(text, at) - 1
      if (depth === 0) return at + 1
    } else if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (c === ',' || c === '\n')) return at
  }
  return text.length
}

function skipSpace(text: string, from: number): number {
  let at = from
  for (let c = text.charCodeAt(at); c === 32 || c === 10 || c === 13 || c === 9; c = text.charCodeAt(at)) at++
  return at
}

function unescaped(token: string, masking: Masking): string {
  const value = decoded(token)
  if (value === undefined) return token
  const masked = masking.text(value)
  return masked === value ? token : JSON.stringify(masked)
}

function decoded(token: string): string | undefined {
  try {
    return JSON.parse(token) as string
  } catch {
    return undefined
  }
}

function plain(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
