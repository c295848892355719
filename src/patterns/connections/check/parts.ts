import type { Problem } from '#kernel/definition.ts'
import { isDuration } from '#kernel/duration.ts'
import { isSchema } from '#kernel/schema.ts'

/** Fields that belong to the transport or to another option. */
const ours = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'expect',
  'te',
  'trailer',
  'accept-encoding',
])

export function headerProblems(path: string, headers: unknown, auth: boolean): Problem[] {
  if (headers === undefined) return []
  if (typeof headers !== 'object' || headers === null)
    return [{ path, message: 'is not an object', fix: "use { 'x-version': '2' }" }]
  const problems: Problem[] = []
  for (const [name, value] of Object.entries(headers)) {
    const at = `${path}.${name}`
    const lower = name.toLowerCase()
    if (!isFieldName(name))
      problems.push({ path: at, message: 'is not a field name', fix: 'use letters, digits and "-"' })
    else if (ours.has(lower)) problems.push({ path: at, message: 'is set by the transport', fix: 'remove it' })
    else if (lower === 'authorization' || lower === 'cookie' || lower === 'proxy-authorization') {
      const fix = auth ? 'remove it' : 'use `auth` with a secret'
      problems.push({ path: at, message: 'would hold a credential in the clear', fix })
    }
    if (typeof value !== 'string' || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      problems.push({ path: at, message: 'has a value that a field cannot hold', fix: 'use text without line breaks' })
    }
  }
  return problems
}

export function isFieldName(name: unknown): name is string {
  return typeof name === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}$/.test(name)
}

/** A duration longer than nothing: a limit of 0 would refuse every call. */
export function isSpan(value: unknown): boolean {
  return isDuration(value) && !/^0+(?:\.0+)?[a-z]/.test(value)
}

/** Names of the fields of an object schema that describes itself as JSON Schema and takes no others; else undefined. */
export function fieldsOf(schema: unknown): ReadonlySet<string> | undefined {
  if (!isSchema(schema)) return undefined
  type Describing = { readonly jsonSchema?: { input(options: { target: string }): unknown } }
  try {
    const described = (schema['~standard'] as Describing).jsonSchema?.input({ target: 'draft-2020-12' })
    const { type, properties, additionalProperties } = described as Readonly<Record<string, unknown>>
    if (type !== 'object' || typeof properties !== 'object' || properties === null) return undefined
    return additionalProperties === undefined || additionalProperties === false
      ? new Set(Object.keys(properties))
      : undefined
  } catch {
    return undefined
  }
}
