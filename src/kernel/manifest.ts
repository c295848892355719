import { isDefinition } from './definition.ts'
import { isSchema } from './schema.ts'
import { isSecret } from './secret.ts'
import type { Json } from './json.ts'

/**
 * Any definition as plain JSON: what `fairlead check --json`, the catalogue and documents are made from. Functions
 * become `{ "function": name }`, schemas their JSON Schema where the library offers it, secrets their name.
 */
export function manifest(definition: unknown): Json {
  return plain(definition, 0)
}

function plain(value: unknown, depth: number): Json {
  if (value === null || value === undefined) return null
  if (isSecret(value)) return { secret: value.name }
  if (isSchema(value)) return { schema: jsonSchema(value) }
  if (typeof value === 'function' && isDefinition(value)) return { kind: value.kind, name: value.name }
  if (typeof value === 'function') return { function: value.name || 'anonymous' }
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || depth > 12) return null
  if (value instanceof RegExp || value instanceof URL) return String(value)
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map((v) => plain(v, depth + 1))
  const out: Record<string, Json> = {}
  for (const [key, v] of Object.entries(value))
    if (v !== undefined && key !== '__proto__') out[key] = plain(v, depth + 1)
  return out
}

type WithJsonSchema = {
  readonly '~standard': { readonly vendor: string; readonly jsonSchema?: { input(o: { target: string }): unknown } }
}

function jsonSchema(schema: unknown): Json {
  const standard = (schema as WithJsonSchema)['~standard']
  try {
    const described = standard.jsonSchema?.input({ target: 'draft-2020-12' })
    // Through text: zod's answer carries `~standard` itself, and would be taken for a schema again, without end.
    if (described !== undefined) return JSON.parse(JSON.stringify(described)) as Json
  } catch {
    // A transform cannot be described as JSON Schema; the vendor is all that can be said.
  }
  return { vendor: standard.vendor }
}
