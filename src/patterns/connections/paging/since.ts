import { hash } from 'node:crypto'
import type { HttpResponse } from '#kernel/http.ts'
import type { Ready } from '../operation.ts'
import { isRecord, ordered } from './place.ts'
import { refuse } from './polling.ts'
import type { Walked } from './resume.ts'

/** What is known of the last answer: plain JSON, at most 2 KB. */
export type Since = Walked & {
  readonly v: 1
  /** SHA-256 of the answer. */
  readonly hash: string
  readonly etag?: string
  readonly modified?: string
}

/**
 * What is to be known of an answer. Compared is what the output schema gives, as JSON with its properties in order: a field that the
 * schema does not name is no change. Of HEAD it is the validators, of bytes the bytes.
 */
export function sinceOf(
  of: Walked,
  ready: Ready,
  response: HttpResponse,
  output: unknown,
  knows: (text: string) => boolean,
): Since {
  const etag = validator(response.headers['etag'], knows)
  const modified = validator(response.headers['last-modified'], knows)
  const compared =
    ready.method === 'HEAD'
      ? JSON.stringify([etag, modified])
      : ready.answer === 'bytes'
        ? response.body
        : (JSON.stringify(output, ordered) ?? '')
  return {
    v: 1,
    ...of,
    hash: hash('sha256', compared, 'base64url'),
    ...(etag === undefined ? {} : { etag }),
    ...(modified === undefined ? {} : { modified }),
  }
}

/** One that was kept, checked; `connection.poll` when it is none, or of another operation or input. */
export function readSince(of: Walked, kept: unknown): Since {
  if (!isRecord(kept) || kept['v'] !== 1 || typeof kept['hash'] !== 'string') throw refuse('`since` is not of a poll')
  if (kept['of'] !== of.of) throw refuse('`since` is of another operation')
  if (kept['for'] !== of.for) throw refuse('`since` is of another input, line or baseUrl')
  for (const name of ['etag', 'modified'])
    if (kept[name] !== undefined && validator(kept[name], () => false) === undefined)
      throw refuse('`since` is not of a poll')
  return kept as Since
}

/** The header fields that ask only for what has changed (RFC 9110 §13.1); undefined when nothing is known. */
export function conditionsOf(since: Since | undefined): Readonly<Record<string, string>> | undefined {
  const { etag, modified } = since ?? {}
  if (etag === undefined && modified === undefined) return undefined
  return {
    ...(etag === undefined ? {} : { 'if-none-match': etag }),
    ...(modified === undefined ? {} : { 'if-modified-since': modified }),
  }
}

/** What can be sent back as it came: a longer or odder one is not used, and answers are compared instead. */
function validator(text: unknown, knows: (text: string) => boolean): string | undefined {
  return typeof text === 'string' && /^[\x21-\x7e](?:[\x20-\x7e]{0,510}[\x21-\x7e])?$/.test(text) && !knows(text)
    ? text
    : undefined
}
