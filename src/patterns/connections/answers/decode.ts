import { fault, type Fault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { parseJson } from '#kernel/json.ts'

/**
 * The value of an answer's body. Bytes stay bytes; text is UTF-8; JSON is parsed strictly whatever the content type says
 * (many APIs say text/plain), so an HTML page with status 200 is refused. An empty body is undefined.
 *
 * Throws `connection.response` with reason `encoding` (a content coding that was not asked for) or `json`.
 */
export function decode(response: HttpResponse, as: 'json' | 'text' | 'bytes'): unknown {
  const coding = response.headers['content-encoding']
  if (coding !== undefined && coding !== 'identity' && coding !== '') throw unreadable(response, 'encoding')
  if (as === 'bytes') return response.body
  if (as === 'text') return utf8.decode(response.body)
  if (response.body.byteLength === 0) return undefined
  try {
    return parseJson(response.body)
  } catch (cause) {
    throw unreadable(response, 'json', cause)
  }
}

/** For rules and problem documents: JSON if it is JSON, else text; never throws. */
export function decodeLoosely(response: HttpResponse): unknown {
  if (response.body.byteLength === 0) return undefined
  try {
    return parseJson(response.body)
  } catch {
    return utf8.decode(response.body)
  }
}

const utf8 = new TextDecoder('utf-8')

function unreadable(response: HttpResponse, reason: string, cause?: unknown): Fault {
  return fault('connection.response', {
    detail: { reason, status: response.status, type: response.headers['content-type']?.slice(0, 100) },
    ...(cause === undefined ? {} : { cause }),
  })
}
