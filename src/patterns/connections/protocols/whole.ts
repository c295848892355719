import { fault } from '#kernel/fault.ts'
import type { HttpResponse, HttpStream } from '#kernel/http.ts'

/** Reads a stream to its end as one answer. Longer than `maxBytes` it is stopped: `connection.response`, reason too-large. */
export async function whole(stream: HttpStream, maxBytes: number): Promise<HttpResponse> {
  const { status, headers, phases, chunks } = stream
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.byteLength
    if (size > maxBytes) throw fault('connection.response', { detail: { reason: 'too-large', status, maxBytes } })
    parts.push(chunk)
  }
  return { status, headers, body: joined(parts, size), phases }
}

/** The parts as one; a single one is given as it is. */
export function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  if (parts.length === 1) return parts[0]!
  const all = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.byteLength
  }
  return all
}
