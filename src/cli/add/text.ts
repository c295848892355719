/**
 * The only ways in which text of a description gets into a file that will be run: as a string literal, as a property name,
 * or as a comment. Whoever wrote the description may be hostile; nothing else of it is ever printed.
 */

/** Longest text that is kept as a literal (an enum's value, a name): longer ones are no names. */
export const longest = 300

/** `'…'`: letters, digits, punctuation and symbols as they are, everything else (controls, separators, marks) escaped. */
export function quoted(text: string): string {
  let out = ''
  for (const c of text) out += c !== "'" && c !== '\\' && plain.test(c) ? c : escaped(c)
  return `'${out}'`
}

// Letters, digits, punctuation, symbols and the space. Not in these classes: line and paragraph separators, direction
// marks, combining marks, halves of surrogate pairs.
const plain = /^[\p{L}\p{N}\p{P}\p{S} ]$/u

function escaped(c: string): string {
  if (c === "'" || c === '\\') return `\\${c}`
  let out = ''
  for (let i = 0; i < c.length; i++) out += `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`
  return out
}

/** The key of a property: bare where it is an identifier. */
export function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) && name !== '__proto__' ? name : quoted(name)
}

/** A literal of JSON: numbers as they are, text quoted. */
export function literal(value: string | number | boolean): string {
  return typeof value === 'string' ? quoted(value) : String(value)
}

/** Text for a comment: one line without markup or anything that ends a comment, cut at `most` characters. */
export function oneLine(text: unknown, most = 200): string {
  if (typeof text !== 'string') return ''
  const clean = text
    .slice(0, most * 8)
    .replaceAll(/<[^<>]{0,200}>/g, '')
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S}]+/gu, ' ')
    .trim()
    .replaceAll(/\*(?=\/)/g, '* ')
    // A tag of JSDoc would speak to the tools that read the file.
    .replaceAll(/@(?=[A-Za-z])/g, '@ ')
  if (clean.length <= most) return clean
  const cut = clean.slice(0, most - 1)
  return `${(cut.includes(' ') ? cut.slice(0, cut.lastIndexOf(' ')) : cut).replace(/[\ud800-\udbff]$/, '')}…`
}

/** The first sentence of a description, for the docstring of a field or an operation. */
export function firstSentence(text: unknown, most = 200): string {
  const line = oneLine(text, most * 4)
  const end = /[.!?](?= [\p{Lu}\p{P}])/u.exec(line)
  return oneLine(end ? line.slice(0, end.index + 1) : line, most)
}
