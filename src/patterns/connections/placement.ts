import { fault } from '#kernel/fault.ts'
import type { OperationSpec } from './define.ts'
import type { Ready, Rendered } from './operation.ts'
import { without } from './template.ts'

/**
 * `render` for an operation some of whose input fields go into header fields (`headerFields`), or one of which is the whole
 * body (`bodyField`); the same function for all others. Throws `schema.invalid` for a value that a header cannot hold, and
 * for a field that would go nowhere.
 */
export function placed(render: Ready['render'], spec: OperationSpec): Ready['render'] {
  const { headerFields, bodyField } = spec
  if (headerFields === undefined && bodyField === undefined) return render
  const fields = Object.entries(headerFields ?? {}).map(([field, header]) => [field, header.toLowerCase()] as const)
  const elsewhere = new Set([...fields.map(([field]) => field), ...(bodyField === undefined ? [] : [bodyField])])
  return (input, step) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) return render(input, step)
    const given = input as Readonly<Record<string, unknown>>
    const rest = without(given, elsewhere)
    const rendered = render(rest, step)
    const headers: Record<string, string> = {}
    for (const [field, header] of fields) {
      const value = Object.hasOwn(given, field) ? given[field] : undefined
      if (value !== undefined && value !== null) headers[header] = headerText(field, value)
    }
    // Where all of the input went elsewhere, an empty object would be a body that nobody asked for.
    const empty = Object.keys(rest).length === 0 && Object.keys(given).length > 0
    const body = bodyField !== undefined ? wholeBody(bodyField, given, rendered) : empty ? undefined : rendered.body
    return fields.length === 0 ? { ...rendered, body } : { ...rendered, body, headers }
  }
}

function wholeBody(name: string, given: Readonly<Record<string, unknown>>, rendered: Rendered): string | undefined {
  if (rendered.body !== undefined && rendered.body !== '{}') {
    throw refuse(name, 'is the whole body: other fields must be in the path, in `query` or in `headerFields`')
  }
  if (!Object.hasOwn(given, name) || given[name] === undefined) return undefined
  try {
    return JSON.stringify(given[name])
  } catch (cause) {
    throw refuse(name, 'cannot be written as JSON', cause)
  }
}

function headerText(field: string, value: unknown): string {
  const text =
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '\n'
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(text) && text.trim() === text) return text
  throw refuse(field, 'must be text without line breaks, a number or a boolean: it is sent as a header field')
}

function refuse(path: string, message: string, cause?: unknown): Error {
  return fault('schema.invalid', {
    message: `${path}: ${message}`,
    detail: { issues: [{ path, message }] },
    ...(cause === undefined ? {} : { cause }),
  })
}
