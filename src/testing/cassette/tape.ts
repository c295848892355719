import { readFile, rename, writeFile } from 'node:fs/promises'
import { fault, type Fault } from '#kernel/fault.ts'
import { parseJson } from '#kernel/json.ts'

/** A recording on disk: JSON that a person can read and a review can see. */
export type Tape = {
  readonly version: 1
  /** RFC 3339. */
  readonly recorded: string
  readonly exchanges: readonly TapedExchange[]
}

/** One request and what came of it. Everything in it is masked. */
export type TapedExchange = {
  /** The connection. */
  readonly connection: string
  readonly method: string
  /** With origin. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: TapedBody
  /** What came back; absent when no answer did. */
  readonly answer?: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body?: TapedBody
  }
  /** Code and phase of the fault, when no answer came. */
  readonly fault?: { readonly code: string; readonly phase?: string }
}

export type TapedBody = { readonly json: unknown } | { readonly text: string } | { readonly base64: string }

/** Undefined when there is no such file. Rejects with `cassette.file` for one that is no tape. */
export async function readTape(path: string): Promise<Tape | undefined> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unreadable(path, 'cannot be read', e)
  }
  let tape: unknown
  try {
    tape = parseJson(bytes)
  } catch (e) {
    throw unreadable(path, 'is not JSON', e)
  }
  if (!isTape(tape)) throw unreadable(path, 'is not a cassette of this version')
  return tape
}

/** Whole or not at all: a run that is cut off leaves the former recording. */
export async function writeTape(path: string, tape: Tape): Promise<void> {
  const half = `${path}.part`
  await writeFile(half, `${JSON.stringify(tape, null, 2)}\n`)
  await rename(half, path)
}

function isTape(value: unknown): value is Tape {
  if (typeof value !== 'object' || value === null) return false
  const { version, recorded, exchanges } = value as Readonly<Record<string, unknown>>
  return (
    version === 1 &&
    typeof recorded === 'string' &&
    !Number.isNaN(Date.parse(recorded)) &&
    Array.isArray(exchanges) &&
    exchanges.every((e: unknown) => {
      const { connection, method, url } = (e ?? {}) as Readonly<Record<string, unknown>>
      return typeof connection === 'string' && typeof method === 'string' && typeof url === 'string'
    })
  )
}

function unreadable(path: string, what: string, cause?: unknown): Fault {
  return fault('cassette.file', { message: `the cassette ${path} ${what}`, ...(cause === undefined ? {} : { cause }) })
}
