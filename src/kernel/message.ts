/**
 * One entry of a topic: a CloudEvent 1.0 (https://github.com/cloudevents/spec) with the extensions `partitionkey`,
 * `correlationid`, `causationid` and `traceparent`. Attribute names are the specification's, so a message can be handed
 * to any CloudEvents library as it is.
 */
export type Message<T = unknown> = {
  readonly specversion: '1.0'
  /** Unique per topic within the dedupe window. */
  readonly id: string
  readonly source: string
  readonly type: string
  /** RFC 3339, UTC, milliseconds: when the log accepted it. */
  readonly time: string
  readonly datacontenttype: string
  readonly subject?: string
  readonly dataschema?: string
  /** What keeps order: messages of one key are handled one after the other. */
  readonly partitionkey?: string
  /** The business flow this belongs to: the same on everything that one arrival causes. */
  readonly correlationid: string
  /** Id of the message that directly caused this one. */
  readonly causationid?: string
  readonly traceparent?: string
  readonly data: T
}

/** Where a message stands: offsets of a partition are without gaps and never change. */
export type Position = { readonly topic: string; readonly partition: number; readonly offset: number }

/** `orders.placed/3/128`: how a position is written for people and on the command line. */
export function printPosition(p: Position): string {
  return `${p.topic}/${p.partition}/${p.offset}`
}

export function parsePosition(text: string): Position | undefined {
  const match = /^(.+)\/(\d{1,5})\/(\d{1,13})$/.exec(text)
  return match ? { topic: match[1]!, partition: Number(match[2]), offset: Number(match[3]) } : undefined
}
