import type { StandardSchemaV1 } from '@standard-schema/spec'
import { fault, type Fault } from './fault.ts'

/** Any schema of a library that speaks Standard Schema 1 (zod, arktype, valibot …). */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>
export type InputOf<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferInput<S> : unknown
export type OutputOf<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<S> : unknown

export type Issue = { readonly path: string; readonly message: string }

export function isSchema(value: unknown): value is Schema {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && '~standard' in value
}

/**
 * The parsed value, or `schema.invalid` with at most 20 issues, each with its path (`items[0].price`) and the library's
 * message. Synchronous when the schema is; the value itself is never part of the fault.
 */
export function parse<S extends Schema>(schema: S, value: unknown): OutputOf<S> | Promise<OutputOf<S>> {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) return result.then((r) => unwrap<S>(r))
  return unwrap<S>(result)
}

function unwrap<S>(result: StandardSchemaV1.Result<unknown>): OutputOf<S> {
  if (result.issues) throw invalid(result.issues)
  return result.value as OutputOf<S>
}

export function invalid(issues: readonly StandardSchemaV1.Issue[]): Fault {
  const list = issues.slice(0, 20).map((i): Issue => ({ path: pathOf(i.path), message: i.message.slice(0, 300) }))
  const first = list[0]
  const message = first ? `${first.path || 'value'}: ${first.message}` : 'the data does not fit the schema'
  return fault('schema.invalid', { message, detail: { issues: list } })
}

function pathOf(path: StandardSchemaV1.Issue['path']): string {
  let out = ''
  for (const segment of path ?? []) {
    const key = typeof segment === 'object' ? segment.key : segment
    out += typeof key === 'number' ? `[${key}]` : out === '' ? String(key) : `.${String(key)}`
  }
  return out
}
