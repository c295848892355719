import { Buffer } from 'node:buffer'
import type { Parked, ParkedState } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import { parseJsonText } from '#kernel/json.ts'
import { inlineLimit } from '#journal/log.ts'

/** Names the shape of a line; another shape gets another name. */
export const lineFormat = 'fairlead.parked.1'

/** A body of 1 MiB whose every byte has to be escaped, and the rest of the line. */
const longestLine = 8 * 1024 * 1024

/** Where a parked message came from, and all of it. */
export type ParkedLine = {
  /** Which store: in the same one it goes back to its place. */
  readonly store: string
  readonly subscription: string
  readonly topic: string
  readonly parked: Omit<Parked, 'subscription'>
}

/** One line of an export that can be imported: nothing is masked, nothing is left out. */
export function printLine({ store, subscription, topic, parked }: ParkedLine): string {
  const { body, faults, ...rest } = parked
  return JSON.stringify({
    format: lineFormat,
    store,
    subscription,
    topic,
    ...rest,
    faults: faults === null ? null : (JSON.parse(faults) as unknown),
    ...(typeof body === 'string'
      ? { body }
      : { bytes: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64') }),
  })
}

/** The line, checked in every field. `import.masked` or `import.line`, whose message names the first field that is wrong. */
export function parseLine(text: string): ParkedLine {
  if (text.length > longestLine) wrong(`has ${text.length} characters, at most ${longestLine} are read`)
  let line: unknown
  try {
    line = parseJsonText(text)
  } catch (cause) {
    throw fault('import.line', { message: 'the line is not JSON', cause })
  }
  if (typeof line !== 'object' || line === null || Array.isArray(line)) wrong('is not an object')
  const f = line as Readonly<Record<string, unknown>>
  if (f['format'] !== lineFormat) wrong(`has not the format ${lineFormat}`)
  if (f['masked'] === true) throw fault('import.masked')
  const state = f['state'] as ParkedState
  if (!states.has(state)) wrong('state is none of retry, held, behind, dead')
  const partition = whole(f, 'partition', 0, 255)
  return {
    store: someText(f, 'store', 100),
    subscription: someText(f, 'subscription', 100),
    topic: someText(f, 'topic', 100),
    parked: {
      partition,
      offset: whole(f, 'offset', -(2 ** 47), 2 ** 38),
      key: f['key'] === null ? null : someText(f, 'key', 512),
      id: someText(f, 'id', 512),
      time: whole(f, 'time', 0, latest),
      meta: f['meta'] === null ? null : jsonText(f, 'meta'),
      body: bodyOf(f),
      state,
      attempts: whole(f, 'attempts', 0, 1_000_000),
      due: whole(f, 'due', 0, latest),
      since: whole(f, 'since', 0, latest),
      faults: faultsOf(f),
      heldBy: f['heldBy'] === null ? null : someText(f, 'heldBy', 512),
    },
  }
}

const states: ReadonlySet<ParkedState> = new Set(['retry', 'held', 'behind', 'dead'])
/** Year 9999. */
const latest = 253_402_300_799_999

function wrong(what: string): never {
  throw fault('import.line', { message: `the line ${what}` })
}

function someText(f: Readonly<Record<string, unknown>>, name: string, most: number): string {
  const value = f[name]
  if (typeof value === 'string' && value.length > 0 && value.length <= most) return value
  return wrong(`has no text of 1 to ${most} characters as ${name}`)
}

function whole(f: Readonly<Record<string, unknown>>, name: string, least: number, most: number): number {
  const value = f[name]
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  return wrong(`has no whole number within its bounds as ${name}`)
}

/** Text that is JSON: the engine will parse it without asking again. */
function jsonText(f: Readonly<Record<string, unknown>>, name: string): string {
  const value = f[name]
  if (typeof value !== 'string' || value.length > inlineLimit)
    return wrong(`has no JSON text of at most 1 MiB as ${name}`)
  try {
    parseJsonText(value)
  } catch (cause) {
    throw fault('import.line', { message: `the line has a ${name} that is not JSON`, cause })
  }
  return value
}

function bodyOf(f: Readonly<Record<string, unknown>>): string | Uint8Array {
  if (f['bytes'] === undefined) return jsonText(f, 'body')
  const text = f['bytes']
  if (typeof text !== 'string' || f['body'] !== undefined) return wrong('has not either body or bytes')
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text || bytes.length > inlineLimit)
    return wrong('has bytes that are not base64, or more than 1 MiB')
  return new Uint8Array(bytes)
}

/** At most the ten that a message keeps. */
function faultsOf(f: Readonly<Record<string, unknown>>): string | null {
  const faults = f['faults']
  if (faults === null) return null
  const sound =
    Array.isArray(faults) &&
    faults.length <= 10 &&
    faults.every(
      (x: unknown) => typeof x === 'object' && x !== null && typeof (x as { code?: unknown }).code === 'string',
    )
  return sound ? JSON.stringify(faults) : wrong('has faults that are not a list of at most 10')
}
