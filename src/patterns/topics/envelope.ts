import type { Stored } from '#adapters/stores/port.ts'
import type { Message } from '#kernel/message.ts'

/** What a publisher may say about a message beside its data. */
export type Attributes = {
  readonly type?: string
  readonly source?: string
  readonly subject?: string
  readonly datacontenttype?: string
  readonly correlationid?: string
  readonly causationid?: string
  readonly traceparent?: string
  /** Headers of an arrival that are kept with it. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Nothing to say: all defaults. */
export const none: Attributes = Object.freeze({})

/** The attributes as stored: null when all have their defaults, which is the common case and costs nothing. */
export function packAttributes(a: Attributes): string | null {
  if (a === none) return null
  const text = JSON.stringify(a)
  return text === '{}' ? null : text
}

/**
 * A stored message as a CloudEvent. Defaults: `type` is the topic's name, `source` `/fairlead/<topic>`, `correlationid`
 * the message's own id: it began the flow.
 */
export function envelope(topic: string, stored: Stored, data: unknown): Message {
  const a = (stored.meta === null ? {} : JSON.parse(stored.meta)) as Attributes
  return {
    specversion: '1.0',
    id: stored.id,
    source: a.source ?? `/fairlead/${topic}`,
    type: a.type ?? topic,
    time: new Date(stored.time).toISOString(),
    datacontenttype: a.datacontenttype ?? 'application/json',
    ...(a.subject === undefined ? {} : { subject: a.subject }),
    ...(stored.key === null ? {} : { partitionkey: stored.key }),
    correlationid: a.correlationid ?? stored.id,
    ...(a.causationid === undefined ? {} : { causationid: a.causationid }),
    ...(a.traceparent === undefined ? {} : { traceparent: a.traceparent }),
    data,
  }
}

/** The data of a stored message: parsed JSON, or the bytes as they are. Our own writing, so it is not checked again. */
export function dataOf(stored: Stored): unknown {
  return typeof stored.body === 'string' ? (JSON.parse(stored.body) as unknown) : stored.body
}
