import { fault, isFault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { parse } from '#kernel/schema.ts'
import { named } from '../exchange.ts'
import type { Ready } from '../operation.ts'
import { decode } from './decode.ts'

/** The body of an answer, as the operation says that it is written; undefined when it has none. */
export function bodyOf(response: HttpResponse, ready: Ready): unknown {
  if (response.status === 204 || response.status === 205 || ready.method === 'HEAD') return undefined
  // A repeated DELETE: gone is done, and their body speaks of an error that is none.
  if (ready.method === 'DELETE' && response.status >= 400) return undefined
  return decode(response, ready.answer)
}

/** The body as the output schema gives it; a misfit is `connection.response`. A promise only where the schema makes one. */
export function outputOf(ready: Ready, body: unknown): unknown {
  const { output } = ready.spec
  if (output === undefined) return body
  const misfit = (cause: unknown): never => {
    if (!isFault(cause, 'schema.invalid')) throw cause
    const detail = { reason: 'shape', ...cause.detail }
    throw named('connection.response', ready, fault('connection.response', { detail, cause }))
  }
  try {
    const value = parse(output, body)
    return value instanceof Promise ? value.catch(misfit) : value
  } catch (cause) {
    return misfit(cause)
  }
}
