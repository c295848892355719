import { fault } from '#kernel/fault.ts'
import { parseJson, parseJsonText, type Json } from '#kernel/json.ts'

const strict = new TextDecoder('utf-8', { fatal: true })
/** Providers send a dozen; a body of a million empty fields must not become a million entries. */
const mostFields = 1_000

/**
 * The body of a verified delivery as data. JSON, strictly, whatever the content type says: providers send JSON as
 * text/plain too. A form only where the scheme takes forms: the JSON in its field `payload`, else its fields as strings
 * (of a repeated field the last one wins, as in JSON).
 *
 * Throws `input.json`, `input.form`, `input.prototype`, or `input.media_type` for a form where none is taken.
 */
export function readBody(contentType: string, body: Uint8Array, forms: boolean): Json {
  if (!/^application\/x-www-form-urlencoded\b/i.test(contentType)) return parseJson(body)
  if (!forms) throw fault('input.media_type', { message: 'this webhook takes JSON, not forms' })
  const fields = readForm(body)
  const payload = fields['payload']
  return payload === undefined ? fields : parseJsonText(payload)
}

function readForm(body: Uint8Array): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {}
  const pairs = decodeUtf8(body).split('&', mostFields + 1)
  if (pairs.length > mostFields) throw fault('input.form', { message: `the form has more than ${mostFields} fields` })
  for (const pair of pairs) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const name = decodePart(at < 0 ? pair : pair.slice(0, at))
    if (name === '__proto__') throw fault('input.prototype')
    fields[name] = at < 0 ? '' : decodePart(pair.slice(at + 1))
  }
  return fields
}

function decodeUtf8(body: Uint8Array): string {
  try {
    return strict.decode(body)
  } catch (cause) {
    throw fault('input.form', { message: 'the form is not valid UTF-8', cause })
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part.replaceAll('+', ' '))
  } catch {
    throw fault('input.form', { message: 'the form has a broken percent escape' })
  }
}
