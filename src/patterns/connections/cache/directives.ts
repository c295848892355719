/** The members of a Cache-Control field: lower-case name → its value, `true` where it has none. */
export type Directives = ReadonlyMap<string, string | true>

const none: Directives = new Map()
const member = /([!#$%&'*+.^_`|~\w-]+)(?:=("(?:[^"\\]|\\.)*"|[^\s,"]*))?[^,]*/y
const longest = 2_147_483_648

/**
 * Reads a Cache-Control field (RFC 9111 §5.2), as requests and answers have it. What cannot be read is passed over up to the next comma. Of a
 * directive that comes twice the smaller number counts, and one that is no number counts as 0: in doubt an answer is older (§4.2.1).
 */
export function directives(field: string | undefined): Directives {
  if (field === undefined || field === '') return none
  const found = new Map<string, string | true>()
  for (let at = 0; at < field.length;) {
    const c = field.charCodeAt(at)
    // Commas and white space between members.
    if (c === 44 || c === 32 || c === 9) {
      at++
      continue
    }
    member.lastIndex = at
    const m = member.exec(field)
    if (m === null) {
      const comma = field.indexOf(',', at)
      if (comma < 0) break
      at = comma
      continue
    }
    at = member.lastIndex
    const name = m[1]!.toLowerCase()
    const value = m[2] === undefined ? true : unquoted(m[2])
    const before = found.get(name)
    if (before === undefined || number(value) < number(before)) found.set(name, value)
  }
  return found
}

/** Milliseconds of a directive in seconds, at most 2^31 s; undefined when it is absent. */
export function span(of: Directives, name: string): number | undefined {
  const value = of.get(name)
  return value === undefined ? undefined : number(value) * 1000
}

function number(value: string | true): number {
  return typeof value === 'string' && /^\d+$/.test(value) ? Math.min(Number(value), longest) : 0
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
}
