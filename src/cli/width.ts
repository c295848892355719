/**
 * Columns that a text takes on a terminal: 2 for East Asian wide and fullwidth characters and for emoji, 0 for combining
 * marks and joiners, 1 for all else (UAX #11, with the ranges that terminals agree on). Control characters count 1: escape
 * them first.
 */
export function displayWidth(text: string): number {
  if (plain.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment)
  return width
}

/** The text in at most `width` columns, its end replaced by `…` when it does not fit. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width <= 0) return ''
  let out = ''
  let used = 1
  for (const { segment } of graphemes.segment(text)) {
    used += graphemeWidth(segment)
    if (used > width) break
    out += segment
  }
  return `${out}…`
}

const plain = /^[\x20-\x7e]*$/
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
const zero = /^[\p{Mn}\p{Me}\p{Cf}]+$/u
const emoji = /^\p{Emoji_Presentation}|\ufe0f/u
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4c6\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{17000}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]/u

function graphemeWidth(grapheme: string): number {
  if (zero.test(grapheme)) return 0
  return wide.test(grapheme) || emoji.test(grapheme) ? 2 : 1
}
