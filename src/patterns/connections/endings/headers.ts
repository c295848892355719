import { httpDate } from '../answers/retry-after.ts'
import { parseLinks } from '../paging/link.ts'

/** What an answer says about its own end; wall-clock milliseconds. */
export type Ending = {
  /** Deprecated since, or from then on; true when no date was given. */
  readonly deprecated?: number | true
  /** Gone from then on, perhaps. */
  readonly sunset?: number
  /** What they say about it, without query. */
  readonly link?: string
}

/**
 * The Deprecation field (RFC 9745: `@1688169599`; drafts before it: `true`, or an HTTP date), the Sunset field (RFC 8594) and links of
 * the relations `deprecation` and `sunset`. Undefined when the answer says nothing of the kind; what is malformed is not there.
 */
export function endingOf(headers: Readonly<Record<string, string>>, now: number): Ending | undefined {
  const deprecated = deprecation(headers['deprecation'], now)
  const sunset = headers['sunset'] === undefined ? undefined : httpDate(headers['sunset'].trim(), now)
  const link = linkOf(headers['link'])
  if (deprecated === undefined && sunset === undefined && link === undefined) return undefined
  return {
    ...(deprecated === undefined ? {} : { deprecated }),
    ...(sunset === undefined ? {} : { sunset }),
    ...(link === undefined ? {} : { link }),
  }
}

/** 9999-12-31: beyond it a date cannot be shown. */
const latest = 253_402_300_799_000

function deprecation(field: string | undefined, now: number): number | true | undefined {
  if (field === undefined) return undefined
  const text = field.trim()
  if (text === 'true' || text === '?1') return true
  const seconds = /^@(-?\d{1,15})(?:;.*)?$/.exec(text)
  if (!seconds) return httpDate(text, now)
  const ms = Number(seconds[1]) * 1_000
  return Math.abs(ms) <= latest ? ms : true
}

function linkOf(field: string | undefined): string | undefined {
  // Nearly every Link field is about pages: those are not read here.
  if (field === undefined || !/deprecation|sunset/i.test(field)) return undefined
  const found = parseLinks(field.slice(0, 4_096)).find(
    ({ rel }) => rel.includes('deprecation') || rel.includes('sunset'),
  )
  return found?.uri.replace(/[?#].*$/s, '').slice(0, 300)
}
