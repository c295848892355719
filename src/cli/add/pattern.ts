/**
 * Whether a regular expression of a description may be run: only one that takes time in proportion to the text, whatever
 * the text. Decided by form, on the safe side: begins with `^`, has no groups, alternatives or look-around, at most one
 * repetition without an end, and no more than 64 ways through the others.
 */
export function isLinear(pattern: string): boolean {
  if (pattern.length > 200 || !pattern.startsWith('^')) return false
  let endless = 0
  let ways = 1
  for (let i = 1; i < pattern.length;) {
    const atom = atomAt(pattern, i)
    if (atom === 0) return false
    i += atom
    const [repeat, least, most] = /^(?:[*+?]|\{(\d{1,4})(?:,(\d{0,4}))?\})/.exec(pattern.slice(i)) ?? []
    if (repeat === undefined) continue
    i += repeat.length
    if (pattern[i] === '?' || pattern[i] === '+') return false
    const open = repeat === '*' || repeat === '+' || most === ''
    if (open) endless++
    else if (repeat === '?') ways *= 2
    else if (most !== undefined) ways *= Number(most) - Number(least) + 1
  }
  return endless <= 1 && ways > 0 && ways <= (endless === 0 ? 4_096 : 64) && compiles(pattern)
}

/** Length of the one-character atom at `i`: a class, an escape, a literal. 0 for everything else. */
function atomAt(pattern: string, i: number): number {
  const rest = pattern.slice(i)
  const set = /^\[\^?(?:[^\]\\[]|\\[dDwWsSnrt\\\]\-.^/$*+?(){}|[])+\]/.exec(rest)
  if (set) return set[0].length
  const escape = /^\\[dDwWsSnrt\\.^$*+?(){}|[\]/-]/.exec(rest)
  if (escape) return escape[0].length
  if (rest[0] === '$') return i === pattern.length - 1 ? 1 : 0
  return /^[^\\^$*+?(){}|[\]]/.test(rest) ? 1 : 0
}

function compiles(pattern: string): boolean {
  try {
    return new RegExp(pattern, 'u') instanceof RegExp
  } catch {
    return false
  }
}
