/** Longest wait that a server can impose inside a call: 1 hour. Longer ones come again when the work is rescheduled. */
export const longestWait = 3_600_000

/**
 * Milliseconds of a Retry-After field (RFC 9110 §10.2.3): seconds, or a date in any of the three HTTP forms. A date is
 * measured against the response's own Date field where that is readable, so that two clocks that disagree do not matter;
 * otherwise against `now`. The past is 0, more than 1 hour is 1 hour, anything unreadable is undefined.
 */
export function retryAfter(field: string | undefined, now: number, date?: string): number | undefined {
  if (field === undefined) return undefined
  const text = field.trim()
  if (/^\d{1,15}(?:\.\d{1,9})?$/.test(text)) return Math.min(Math.ceil(Number(text) * 1000), longestWait)
  const at = httpDate(text, now)
  if (at === undefined) return undefined
  const from = (date === undefined ? undefined : httpDate(date.trim(), now)) ?? now
  return Math.min(Math.max(0, at - from), longestWait)
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const fixed = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/
const rfc850 = /^[A-Z][a-z]{5,8}, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/
const asctime = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/

/** Milliseconds since the epoch of an HTTP date (RFC 9110 §5.6.7). A two-digit year more than 50 years ahead is past. */
export function httpDate(text: string, now: number): number | undefined {
  let m = fixed.exec(text)
  if (m) return utc(Number(m[3]), m[2]!, m[1]!, m[4]!, m[5]!, m[6]!)
  m = asctime.exec(text)
  if (m) return utc(Number(m[6]), m[1]!, m[2]!, m[3]!, m[4]!, m[5]!)
  m = rfc850.exec(text)
  if (!m) return undefined
  const current = new Date(now).getUTCFullYear()
  let year = current - (current % 100) + Number(m[3])
  if (year > current + 50) year -= 100
  return utc(year, m[2]!, m[1]!, m[4]!, m[5]!, m[6]!)
}

function utc(year: number, month: string, day: string, h: string, m: string, s: string): number | undefined {
  const at = months.indexOf(month)
  if (at < 0 || Number(h) > 23 || Number(m) > 59 || Number(s) > 60) return undefined
  const ms = Date.UTC(year, at, Number(day), Number(h), Number(m), Number(s))
  // The 31st of February would roll over into March: not a date.
  return new Date(Date.UTC(year, at, Number(day))).getUTCDate() === Number(day) ? ms : undefined
}
