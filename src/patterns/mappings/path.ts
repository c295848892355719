/** A place inside a record: names and array indexes. */
export type Path = readonly (string | number)[]

/** Longest path text, deepest path and highest index that a document may name. */
export const limits = { characters: 512, segments: 32, index: 999 } as const

/** Names through which a write, or a read followed by a call, could reach a prototype. */
const refused = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Reads `a.b[0].c`. A name is any text without `.`, `[` and `]`, so Kobo's `group/question` is one name; a name that
 * contains them is written `["a.b"]`. Returns the reason when the text is not a path, with what to do about it.
 */
export function parsePath(text: string): Path | { readonly reason: string; readonly fix: string } {
  const wrong = (reason: string, fix: string): { reason: string; fix: string } => ({ reason, fix })
  if (text === '') return wrong('the path is empty', 'write a name such as "address.city"')
  if (text.length > limits.characters)
    return wrong('the path is too long', `use at most ${limits.characters} characters`)
  const path: (string | number)[] = []
  const token = /([^.[\]]+)|\[(\d{1,6})\]|\[("(?:[^"\\]|\\.)*")\]/y
  let at = 0
  while (at < text.length) {
    if (text[at] === '.' && at > 0) at++
    else if (at > 0 && text[at] !== '[')
      return wrong(`"." or "[" is missing before "${text.slice(at, at + 20)}"`, 'write "a.b[0].c"')
    token.lastIndex = at
    const match = token.exec(text)
    if (!match || (match[1] === undefined && text[at - 1] === '.')) {
      return wrong('a segment is empty or a bracket is not closed', 'write "a.b[0].c", or ["a.b"] for a name with dots')
    }
    const segment = match[2] === undefined ? (match[1] ?? quoted(match[3]!)) : Number(match[2])
    if (segment === undefined || segment === '')
      return wrong('a quoted name is empty or not valid', 'write it as JSON text: ["a.b"]')
    if (typeof segment === 'string' && refused.has(segment)) {
      return wrong(`"${segment}" could reach a prototype and is refused`, 'use another name')
    }
    if (typeof segment === 'number' && segment > limits.index) {
      return wrong(`the index ${segment} is too high`, `use at most ${limits.index}`)
    }
    path.push(segment)
    at = token.lastIndex
  }
  if (path.length > limits.segments) return wrong('the path is too deep', `use at most ${limits.segments} segments`)
  if (typeof path[0] === 'number') return wrong('a path begins with a name', 'put the name of a field before the index')
  return path
}

/** Inverse of `parsePath`. */
export function printPath(path: Path): string {
  let out = ''
  for (const segment of path) {
    if (typeof segment === 'number') out += `[${segment}]`
    else if (segment === '' || /[.[\]]/.test(segment)) out += `[${JSON.stringify(segment)}]`
    else out += out === '' ? segment : `.${segment}`
  }
  return out
}

function quoted(text: string): string | undefined {
  try {
    return JSON.parse(text) as string
  } catch {
    return undefined
  }
}

/**
 * Whether a plain read of this name could find an inherited member (`toString`, `length`, `map`): such a name is read as
 * an own property only. Decided once, when the mapping is compiled.
 */
export function isInherited(name: string): boolean {
  return name in []
}

/** Reads a name that objects or arrays inherit; only an object's own property counts. */
export function ownValue(holder: object, name: string): unknown {
  return Array.isArray(holder) || !Object.hasOwn(holder, name) ? undefined : (holder as Record<string, unknown>)[name]
}

/** The value at `path`, or undefined where a step is missing or has another shape. Reads own data only. */
export function readPath(source: unknown, path: Path): unknown {
  let value = source
  for (const segment of path) {
    if (typeof value !== 'object' || value === null) return undefined
    if (typeof segment === 'number') value = Array.isArray(value) ? (value as unknown[])[segment] : undefined
    else if (isInherited(segment)) value = ownValue(value, segment)
    else value = (value as Record<string, unknown>)[segment]
  }
  return value
}
