import { fault } from './fault.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
/** Deeper input is refused: the serialiser and every recursive reader after us must be able to walk it. */
const deepest = 128

/**
 * Parses bytes as JSON, strictly: UTF-8 is decoded fatally first (a lossy decode accepts what it should refuse), depth is
 * at most 128, and a `__proto__` key anywhere is refused, also when it is spelled with escapes.
 *
 * Throws `input.json` or `input.prototype`. Of repeated keys the last one wins, as in JSON.parse.
 */
export function parseJson(bytes: Uint8Array): Json {
  let text: string
  try {
    text = strict.decode(bytes)
  } catch (cause) {
    throw fault('input.json', { message: 'the body is not valid UTF-8', cause })
  }
  return parseJsonText(text)
}

export function parseJsonText(text: string): Json {
  if (tooDeep(text)) throw fault('input.json', { message: `the body nests deeper than ${deepest} levels` })
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch (cause) {
    throw fault('input.json', { message: 'the body is not valid JSON', cause: position(cause) })
  }
  if ((text.includes('__proto__') || text.includes('\\u')) && hasProto(value)) throw fault('input.prototype')
  return value
}

/** V8 quotes the input in its message; only the place is kept, so that no payload reaches a log. */
function position(cause: unknown): Error {
  const at = /position \d+/.exec(cause instanceof Error ? cause.message : '')?.[0]
  return new Error(at ? `syntax error at ${at}` : 'syntax error')
}

function tooDeep(text: string): boolean {
  if (fewBrackets(text)) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 34) {
      for (i++; i < text.length && text.charCodeAt(i) !== 34; i++) if (text.charCodeAt(i) === 92) i++
    } else if (c === 123 || c === 91) {
      if (++depth > deepest) return true
    } else if (c === 125 || c === 93) depth--
  }
  return false
}

/** No more opening brackets than levels: found by native search, so that an ordinary body is not walked by character. */
function fewBrackets(text: string): boolean {
  let left = deepest
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) if (left-- === 0) return false
  }
  return true
}

function hasProto(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(hasProto)
  const entries = value as { readonly [key: string]: Json }
  return Object.hasOwn(entries, '__proto__') || Object.keys(entries).some((k) => hasProto(entries[k]!))
}
