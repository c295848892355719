import { fault, isFault, type Fault } from '#kernel/fault.ts'
import { parseJson } from '#kernel/json.ts'
import { Lines } from './lines.ts'
import type { StreamPlan } from './options.ts'
import { EventParser } from './sse.ts'

/** Makes items of chunks. Throws `connection.response`: reason too-large, json (with the number of the item). */
export interface Items {
  feed(chunk: Uint8Array): Iterable<unknown>
  /** What the end of the stream makes whole. */
  rest(trailers: Readonly<Record<string, string>>): Iterable<unknown>
  /** The stream has said that nothing follows. */
  readonly over: boolean
  /** Where a reconnection goes on; empty when it has no such place. */
  readonly lastId: string
  /** Milliseconds until reconnection that the stream asked for. */
  readonly retry: number | undefined
}

/** `lastId`: of the stream that this one continues. */
export function itemsOf(plan: StreamPlan, lastId: string): Items {
  if (plan.items) return plan.items()
  return plan.as === 'sse' ? new EventItems(plan, lastId) : new LineItems(plan)
}

class EventItems implements Items {
  readonly #parser: EventParser
  readonly #plan: StreamPlan
  #count = 0
  over = false

  constructor(plan: StreamPlan, lastId: string) {
    this.#plan = plan
    this.#parser = new EventParser(plan.maxItem, lastId)
  }

  get lastId(): string {
    return this.#parser.lastId
  }

  get retry(): number | undefined {
    return this.#parser.retry
  }

  *feed(chunk: Uint8Array): Generator<unknown, void> {
    for (const { event, data, id } of this.#parser.feed(chunk)) {
      this.#count++
      if (this.#plan.end !== undefined && lossy.decode(data) === this.#plan.end) {
        this.over = true
        return
      }
      yield { event, id, data: this.#plan.text ? lossy.decode(data) : json(data, this.#count) }
    }
  }

  /** An event that no blank line has ended is dropped, as the standard asks: it may be half of one. */
  rest(): Iterable<unknown> {
    return []
  }
}

class LineItems implements Items {
  readonly #lines: Lines
  readonly #text: boolean
  #count = 0
  readonly over = false
  readonly lastId = ''
  readonly retry = undefined

  constructor({ maxItem, text }: StreamPlan) {
    this.#lines = new Lines('lf', maxItem)
    this.#text = text
  }

  *feed(chunk: Uint8Array): Generator<unknown, void> {
    for (const line of this.#lines.feed(chunk)) yield* this.#item(line)
  }

  *rest(): Generator<unknown, void> {
    const line = this.#lines.rest()
    if (line) yield* this.#item(line)
  }

  *#item(line: Uint8Array): Generator<unknown, void> {
    this.#count++
    if (!line.every(isSpace)) yield this.#text ? strictText(line, this.#count) : json(line, this.#count)
  }
}

const lossy = new TextDecoder('utf-8', { ignoreBOM: true })
const strict = new TextDecoder('utf-8', { fatal: true })

function isSpace(byte: number): boolean {
  return byte === 32 || byte === 9 || byte === 13
}

function json(bytes: Uint8Array, item: number): unknown {
  try {
    return parseJson(bytes)
  } catch (cause) {
    throw unreadable('json', item, cause)
  }
}

function strictText(bytes: Uint8Array, item: number): string {
  try {
    return strict.decode(bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes)
  } catch (cause) {
    throw unreadable('encoding', item, cause)
  }
}

function unreadable(reason: string, item: number, cause: unknown): Fault {
  const why = isFault(cause) ? cause.message : 'it is not UTF-8'
  return fault('connection.response', {
    message: `item ${item} of the stream cannot be read: ${why}`,
    detail: { reason, item },
    cause,
  })
}
