import { fault } from '#kernel/fault.ts'
import type { HttpOut, HttpRequest } from '#kernel/http.ts'
import type { Bounds, Exchanged, Protocol } from '../protocol.ts'
import { whole } from '../whole.ts'
import type { StreamPlan } from './options.ts'

/** Opens a stream as an attempt of a call: every policy holds as far as the head of the answer. */
export function streamProtocol(plan: StreamPlan): Protocol {
  const { as } = plan
  return {
    stream: plan,
    headers:
      as === 'sse'
        ? { accept: 'text/event-stream', 'cache-control': 'no-store' }
        : { accept: 'application/x-ndjson, application/jsonl;q=0.9, */*;q=0.1' },
    send: (http, wire, bounds, now) => openStream(http, wire, bounds, now, plan),
  }
}

/**
 * What refuses is an answer like any other, read whole. 204 has no stream: for events it says that there will be none (WHATWG HTML
 * §9.2.3). Events under another content type are `connection.response`, reason media-type: a page of HTML is not an empty stream.
 */
async function openStream(
  http: HttpOut,
  wire: HttpRequest,
  { deadline, signal }: Bounds,
  now: number,
  { as, idle }: StreamPlan,
): Promise<Exchanged> {
  const { maxBytes, signal: _attempt, ...rest } = wire
  const stream = await http.stream({
    ...rest,
    idle,
    ...(deadline === undefined ? {} : { whole: Math.max(1, deadline - now) }),
    // The attempt ends with the head, the stream does not: only who asked for it can call it off.
    ...(signal === undefined ? {} : { signal }),
  })
  const { status, headers, phases } = stream
  if (status < 200 || status >= 300 || status === 204 || status === 205) return whole(stream, maxBytes)
  const type = headers['content-type']
  const coding = headers['content-encoding'] ?? 'identity'
  if ((as === 'sse' && !isEventStream(type)) || (coding !== 'identity' && coding !== '')) {
    await stream.chunks.return?.()
    const reason = coding === 'identity' || coding === '' ? 'media-type' : 'encoding'
    throw fault('connection.response', { detail: { reason, status, type: type?.slice(0, 100), phases } })
  }
  return { status, headers, body: none, phases, stream }
}

const none = new Uint8Array(0)

function isEventStream(type: string | undefined): boolean {
  return type !== undefined && /^text\/event-stream\s*(?:;|$)/i.test(type.trim())
}
