import { Buffer } from 'node:buffer'
import { hash } from 'node:crypto'
import { fault } from '#kernel/fault.ts'
import type { Ready, Rendered } from '../operation.ts'

/** Longest answer that is kept with an intent, as characters of JSON: a longer one is asked for again. */
export const longestAnswer = 4_096
/** Longest input that is kept of a call that belongs to no message. */
export const longestInput = 16_384

/** What is stored of a call that may change something, under `connection/operation/<key or id>`: JSON. */
export type Intent = {
  /** SHA-256 of method, path and body. */
  readonly fingerprint: string
  /** How often it was begun. */
  readonly begun: number
  /** Wall-clock milliseconds: when it was first begun, and when whoever began it last gives up waiting for an answer. */
  readonly at: number
  readonly until: number
  readonly message?: string
  readonly correlation?: string
  /** `POST /charges` with the path filled in, and JSON of the input as the caller gave it: where a person may have to decide. */
  readonly line?: string
  readonly input?: string
  /** Absent: begun, and whoever began it has not said what came of it. */
  readonly outcome?: 'happened' | 'nothing' | 'unknown'
  /** Of the fault it ended with. */
  readonly code?: string
  /** JSON of the answer's body; `''`: it had none. Absent: longer than is kept, or bytes. */
  readonly answer?: string
}

export function fingerprintOf(ready: Ready, { path, body }: Rendered): string {
  const sent = typeof body === 'object' ? Buffer.from(body).toString('base64') : (body ?? '')
  return hash('sha256', `${ready.method}\n${path}\n${sent}`, 'base64url')
}

/** The name of an intent: short, visible and the same whenever the call is made again. */
export function intentName(ready: Ready, identity: string): string {
  const plain = /^[\x21-\x7e]{1,255}$/.test(identity) ? identity : hash('sha256', identity, 'base64url')
  return `${ready.connection}/${ready.name}/${plain}`
}

/** `payments/charge/…` → connection and operation. */
export function operationOf(name: string): { readonly connection: string; readonly operation: string } {
  const [connection = '', operation = ''] = name.split('/', 2)
  return { connection, operation }
}

/** What an earlier beginning of the same call means for this one. */
export type Known =
  /** It never was sent, or was refused. */
  | 'nothing'
  /** It may have happened. */
  | 'maybe'
  /** It may be on its way this moment: whoever began it has not ended, and may still be waiting. */
  | 'underway'
  /** It has happened, and this is the body of its answer. */
  | { readonly answer: unknown }

/**
 * Reads what was stored (pure). The same key with something else to say is refused, `connection.key_reused`, unless it is
 * known that the first was never accepted: it would be answered with the first, or double it.
 */
export function meaning(name: string, found: Intent, fingerprint: string, now: number): Known {
  if (found.outcome === 'nothing') return 'nothing'
  if (found.fingerprint !== fingerprint) {
    throw fault('connection.key_reused', { detail: { ...operationOf(name), intent: name } })
  }
  if (found.outcome === undefined && found.until > now) return 'underway'
  if (found.outcome !== 'happened' || found.answer === undefined) return 'maybe'
  return { answer: found.answer === '' ? undefined : (JSON.parse(found.answer) as unknown) }
}

/** The body of an answer as it is kept; undefined: it is not. */
export function keptAnswer(body: unknown): string | undefined {
  if (body === undefined) return ''
  if (body instanceof Uint8Array) return undefined
  const text = JSON.stringify(body)
  return text.length <= longestAnswer ? text : undefined
}

export function keptInput(input: unknown): string | undefined {
  let text: string | undefined
  try {
    text = JSON.stringify(input)
  } catch {
    return undefined
  }
  return text !== undefined && text.length <= longestInput ? text : undefined
}
