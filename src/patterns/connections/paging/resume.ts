import { hash } from 'node:crypto'
import { fault } from '#kernel/fault.ts'
import { isRecord, ordered } from './place.ts'

/** Longest mark, as characters of JSON. */
export const longestMark = 8_192

/**
 * Where a walk can go on: plain JSON, at most 8,192 characters, without a secret. Opaque: what it says may change, and one of
 * another version is refused. It belongs to the process that will make the calls: a path in it is asked with the
 * connection's credential.
 */
export type Mark = {
  readonly v: 1
  /** `shop.orders` */
  readonly of: string
  /** SHA-256 of what is walked: origin, line and input. */
  readonly for: string
  /** Pages that were read. */
  readonly page: number
  /** The next one: a cursor, a page, an offset, or a path, which begins with `/`. */
  readonly at: string | number
}

/** What a mark is of: the same list only has the same. */
export type Walked = Pick<Mark, 'of' | 'for'>

/** `line`: the operation's, with its fixed query: with another page size the third page is another. */
export function walked(of: string, line: string, origin: string, input: unknown): Walked {
  let text: string
  try {
    text = JSON.stringify([origin, line, input], ordered)
  } catch (cause) {
    throw fault('schema.invalid', { message: 'the input cannot be written as JSON', cause, detail: { issues: [] } })
  }
  return { of, for: hash('sha256', text, 'base64url') }
}

/** Throws `connection.pages` when it would be too long, or hold a secret (`knows`): better no walk than a secret in a table. */
export function markOf(of: Walked, page: number, at: Mark['at'], knows: (text: string) => boolean): Mark {
  const mark: Mark = { v: 1, ...of, page, at }
  if (typeof at === 'string' && knows(at)) refuse('the place of the next page holds a secret and cannot be kept', page)
  if (JSON.stringify(mark).length > longestMark)
    refuse(`the place of the next page is longer than ${longestMark} characters and cannot be kept`, page)
  return mark
}

/** A mark that was kept, checked: `connection.pages` when it is none, or of another list. */
export function readMark(of: Walked, kept: unknown): Mark {
  if (!isMark(kept)) return refuse('this is not a mark of a page')
  if (kept.of !== of.of) return refuse('the mark is of another operation')
  if (kept.for !== of.for) return refuse('the mark is of another input, line or baseUrl')
  return kept
}

function isMark(kept: unknown): kept is Mark {
  if (!isRecord(kept) || kept['v'] !== 1) return false
  const { page, at } = kept
  if (!Number.isSafeInteger(page) || (page as number) < 1) return false
  return typeof at === 'number' ? Number.isFinite(at) : typeof at === 'string' && at !== '' && at.length <= longestMark
}

function refuse(reason: string, page?: number): never {
  throw fault('connection.pages', { message: reason, detail: { reason, ...(page === undefined ? {} : { page }) } })
}
