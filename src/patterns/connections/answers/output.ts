import type { StandardSchemaV1 } from '@standard-schema/spec'
import { fault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { invalid, type Schema } from '#kernel/schema.ts'
import { named } from '../exchange.ts'
import type { Ready } from '../operation.ts'
import type { Exchanged } from '../protocols/protocol.ts'
import { coerce, type Coercion } from './coerce.ts'
import { decode } from './decode.ts'

/** The body of an answer, as the operation says that it is written; undefined when it has none. */
export function bodyOf(response: HttpResponse & Pick<Exchanged, 'reading'>, ready: Ready): unknown {
  if (response.reading) return response.reading.value
  if (response.status === 204 || response.status === 205 || ready.method === 'HEAD') return undefined
  // A repeated DELETE: gone is done, and their body speaks of an error that is none.
  if (ready.method === 'DELETE' && response.status >= 400) return undefined
  return decode(response, ready.answer)
}

/** Told of an answer in which values had to be spelled the other way. */
export type Noting = { readonly coerced: (ready: Ready, coercions: readonly Coercion[]) => void }

/**
 * The body as the output schema gives it; a misfit is `connection.response`. A promise only where the schema makes one, or where a
 * second look is needed. `raw`: the bytes that the body came in; absent when it did not come so.
 */
export function outputOf(notes: Noting, ready: Ready, body: unknown, raw?: Uint8Array): unknown {
  const { output } = ready.spec
  if (output === undefined) return body
  const result = output['~standard'].validate(body)
  if (!(result instanceof Promise) && !result.issues) return result.value
  return secondLook(notes, ready, output, { body, raw, result })
}

async function secondLook(
  notes: Noting,
  ready: Ready,
  output: Schema,
  first: {
    readonly body: unknown
    readonly raw: Uint8Array | undefined
    readonly result: StandardSchemaV1.Result<unknown> | Promise<StandardSchemaV1.Result<unknown>>
  },
): Promise<unknown> {
  const { body, raw } = first
  const result = await first.result
  if (!result.issues) return result.value
  const coerced = raw && ready.answer === 'json' ? await coerce(output, body, result.issues, raw) : undefined
  if (coerced) {
    if (coerced.coercions.length > 0) notes.coerced(ready, coerced.coercions)
    return coerced.value
  }
  const cause = invalid(result.issues)
  const detail = { reason: 'shape', ...cause.detail }
  throw named('connection.response', ready, fault('connection.response', { detail, cause }))
}
