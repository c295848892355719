import { Held } from './held.ts'
import { Lines, tooLarge } from './lines.ts'

/** One event as the stream gave it. */
export type ServerSentEvent = {
  /** `message` unless the stream said otherwise. */
  readonly event: string
  /** Its data lines joined by LF. */
  readonly data: Uint8Array
  /** The last id that the stream has named so far, this event's or an earlier one's. */
  readonly id: string
}

/**
 * Parses server-sent events (WHATWG HTML §9.2.6) to the letter: one BOM at the start is skipped; lines end with LF, CR or
 * CRLF; comments and unknown fields are ignored; one space behind the colon is dropped; an `id` with NUL and a `retry` that
 * is not all digits are ignored; an event without data is not given, though its id counts; what is not ended by a blank line
 * is dropped. Data stay bytes, so that who parses them as JSON can refuse what is not UTF-8; names and ids are decoded lossily,
 * as the standard asks.
 *
 * Bounded: a line, and the data of an event, by `most` bytes (`connection.response`, reason too-large), an id by 4,096.
 */
export class EventParser {
  readonly #lines: Lines
  readonly #most: number
  #first = true
  #event = ''
  #id: string
  readonly #data = new Held()
  /** Lines of data so far. */
  #count = 0
  /** Milliseconds until reconnection that the stream has asked for. */
  retry: number | undefined
  /** What a reconnection names as Last-Event-ID. Counts from the blank line on, with or without data. */
  lastId: string

  /** `id`: the last one of the stream that this one continues. */
  constructor(most: number, id = '') {
    this.#lines = new Lines('any', most)
    this.#most = most
    this.#id = id
    this.lastId = id
  }

  *feed(chunk: Uint8Array): Generator<ServerSentEvent, void> {
    for (const line of this.#lines.feed(chunk)) {
      const event = this.#take(this.#first ? withoutBom(line) : line)
      this.#first = false
      if (event) yield event
    }
  }

  #take(line: Uint8Array): ServerSentEvent | undefined {
    if (line.byteLength === 0) return this.#dispatch()
    const colon = line.indexOf(58)
    if (colon === 0) return undefined
    const name = text.decode(colon < 0 ? line : line.subarray(0, colon))
    const value = colon < 0 ? none : line.subarray(line[colon + 1] === 32 ? colon + 2 : colon + 1)
    if (name === 'data') this.#append(value)
    else if (name === 'event') this.#event = text.decode(value)
    else if (name === 'id') this.#named(value)
    else if (name === 'retry' && /^[0-9]{1,15}$/.test(text.decode(value))) this.retry = Number(text.decode(value))
    return undefined
  }

  #append(value: Uint8Array): void {
    // The LF between two lines counts, so that endless empty ones are bounded too.
    const between = this.#count++ > 0
    if (this.#data.size + value.byteLength + Number(between) > this.#most) throw tooLarge(this.#most)
    if (between) this.#data.add(newline)
    this.#data.add(value)
  }

  #named(value: Uint8Array): void {
    if (value.byteLength > 4_096) throw tooLarge(4_096)
    if (!value.includes(0)) this.#id = text.decode(value)
  }

  #dispatch(): ServerSentEvent | undefined {
    this.lastId = this.#id
    const event = this.#event === '' ? 'message' : this.#event
    const data = this.#data.take()
    const some = this.#count > 0
    this.#event = ''
    this.#count = 0
    return some ? { event, data, id: this.#id } : undefined
  }
}

const text = new TextDecoder('utf-8', { ignoreBOM: true })
const none = new Uint8Array(0)
const newline = new Uint8Array([10])

function withoutBom(line: Uint8Array): Uint8Array {
  return line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? line.subarray(3) : line
}
