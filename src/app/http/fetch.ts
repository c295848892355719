import { Buffer } from 'node:buffer'
import { fault, type Fault } from '#kernel/fault.ts'
import type { Door, Inbound, Reply } from '#kernel/http.ts'
import { gate, tooLarge, type Answer, type Gate, type HttpOptions } from './gate.ts'
import { problem } from './problem.ts'

/**
 * The same doors on web types: `serve(doors, options)(request)` mounts in any framework or runtime that speaks
 * `Request` and `Response`. Same checks, limits, problems and counts as `listen`; what belongs to sockets (slow heads,
 * malformed requests, draining) is the host's. Never rejects.
 */
export function serve(doors: readonly Door[], options: HttpOptions): (request: Request) => Promise<Response> {
  const shared = gate(doors, options)
  return async (request) => {
    const { path, query } = split(request.url)
    const found = shared.find(request.method, path)
    if (!('handle' in found)) return finish(shared, '', refused(found))
    const headers = headerRecord(request.headers)
    let expire: () => void = () => undefined
    const expired = new Promise<'expired'>((resolve) => (expire = () => resolve('expired')))
    const cancel = options.clock.after(shared.limits.request, expire)
    const held = { bytes: 0 }
    try {
      const wrong =
        Object.keys(headers).length > shared.limits.headers ? fault('input.headers') : shared.check(found, headers)
      const body = wrong ?? (await read(shared, found, request, held, expired))
      if (!(body instanceof Uint8Array)) return finish(shared, found.name, refused(body))
      const inbound: Inbound = { method: request.method, path, query, headers, body }
      const answer = await Promise.race([shared.answer(found, inbound), expired])
      return finish(shared, found.name, answer === 'expired' ? refused(fault('app.slow')) : answer)
    } finally {
      cancel()
      shared.give(held.bytes)
    }
  }
}

function refused(f: Fault): Answer {
  return { reply: problem(f), code: f.code }
}

function finish(shared: Gate, door: string, answer: Answer): Response {
  let { reply, code } = answer
  let response: Response
  try {
    response = toResponse(reply)
  } catch (cause) {
    reply = problem(fault('bug', { cause }))
    code = 'bug'
    response = toResponse(reply)
  }
  shared.count(door, reply.status, code)
  return response
}

function toResponse({ status, headers, body }: Reply): Response {
  const bare = status === 204 || status === 304 || body === undefined
  // The cast only drops SharedArrayBuffer, which no reply is made of.
  return new Response(bare ? null : (body as string | Uint8Array<ArrayBuffer>), {
    status,
    ...(headers ? { headers } : {}),
  })
}

/** Path and query of an absolute URL, without parsing it again. */
function split(url: string): { path: string; query: string } {
  const from = url.indexOf('/', url.indexOf('://') + 3)
  const hash = url.indexOf('#', from)
  const target = from < 0 ? '/' : url.slice(from, hash < 0 ? undefined : hash)
  const mark = target.indexOf('?')
  return mark < 0 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

function headerRecord(headers: Headers): Inbound['headers'] {
  const record = Object.create(null) as Record<string, string>
  for (const [name, value] of headers) record[name] = value
  return record
}

async function read(
  shared: Gate,
  door: Door,
  request: Request,
  held: { bytes: number },
  expired: Promise<'expired'>,
): Promise<Uint8Array | Fault> {
  if (!request.body) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = request.body.getReader()
  const stop = (f: Fault): Fault => {
    reader.cancel().catch(() => undefined)
    return f
  }
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), expired])
      if (next === 'expired') return stop(fault('input.timeout'))
      const { done, value } = next
      if (done) return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)
      size += value.length
      if (size > door.maxBytes) return stop(tooLarge(door))
      if (!shared.take(value.length)) return stop(fault('app.overloaded'))
      held.bytes += value.length
      chunks.push(value)
    }
  } catch (cause) {
    return fault('input.truncated', { cause })
  }
}
