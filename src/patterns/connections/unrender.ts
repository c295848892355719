import { parseJsonText } from '#kernel/json.ts'
import type { Protocol } from './protocols/protocol.ts'
import type { Template } from './template.ts'

/** A request as far as an input can be read from it. */
export type Sent = { readonly method: string; readonly path: string; readonly body?: string | Uint8Array | undefined }

/**
 * The input that a request was made from: parameters of the path, query (text, repeated names as a list), fields of a JSON or form
 * body; of another protocol than REST, what that understands. Undefined: the request is not one of this operation, whatever the base
 * path.
 */
export function inputOf(
  template: Template,
  sent: Sent,
  protocol: Pick<Protocol, 'fields'> | undefined,
): Record<string, unknown> | undefined {
  if (sent.method !== template.method) return undefined
  const [path = '', query = ''] = sent.path.split('?')
  const escaped = template.texts.map((t) => t.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const found = new RegExp(`${escaped.join('([^/]+)')}$`).exec(path)
  if (!found) return undefined
  const input = new Map<string, unknown>()
  const fields = protocol?.fields ? protocol.fields(sent) : bodyFields(sent.body)
  if (fields === undefined) return undefined
  if (!protocol?.fields) for (const [name, value] of new URLSearchParams(query)) add(input, name, value)
  for (const [i, name] of template.params.entries()) input.set(name, decodeURIComponent(found[i + 1]!))
  for (const [name, value] of fields) input.set(name, value)
  return Object.fromEntries(input)
}

function bodyFields(body: Sent['body']): Iterable<readonly [string, unknown]> {
  const text = typeof body === 'string' ? body : body && new TextDecoder().decode(body)
  if (!text) return []
  if (text.startsWith('{')) return Object.entries(parseJsonText(text) as object)
  if (text.startsWith('[') || !text.includes('=')) return []
  const form = new Map<string, unknown>()
  for (const [name, value] of new URLSearchParams(text)) add(form, name, value)
  return form
}

function add(to: Map<string, unknown>, name: string, value: string): void {
  const known = to.get(name)
  to.set(name, known === undefined ? value : [...(Array.isArray(known) ? (known as unknown[]) : [known]), value])
}
