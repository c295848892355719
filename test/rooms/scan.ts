/**
 * Reads a TypeScript source without a compiler: what it imports, and its code with everything that is not code blanked.
 * TypeScript 7 has no compiler API and a parser would be one more dependency; the four things that hide code or look like
 * it (comments, strings, templates, regular expressions) fit one pass.
 */
export type Import = {
  readonly specifier: string
  /** `static` for import and export … from, `dynamic` for import(), in types too. */
  readonly form: 'static' | 'dynamic'
  /** The text between `import` or `export` and `from`; empty for the other forms. */
  readonly clause: string
  readonly line: number
}

export type Scan = {
  readonly imports: readonly Import[]
  /** Lines with an import() whose specifier is not a literal: an arrow nobody can see. */
  readonly computed: readonly number[]
  /** The source, same length and lines, with comments, string contents, template text and regular expressions blanked. */
  readonly code: string
}

export function scan(source: string): Scan {
  const code = blank(source)
  const imports: Import[] = []
  const computed: number[] = []
  for (const match of code.matchAll(/(?<![.\w$])(from|import)\s*(\(\s*)?(?=(['"`])|)/g)) {
    const [text, word, paren, quote] = match
    const at = match.index + text.length
    if (quote === undefined || (word === 'from' && paren !== undefined)) {
      if (word === 'import' && paren !== undefined) computed.push(lineAt(code, match.index))
      continue
    }
    const end = code.indexOf(quote, at + 1)
    const inside = code.slice(at + 1, end)
    if (quote === '`' && inside.trim() !== '') {
      computed.push(lineAt(code, match.index))
      continue
    }
    const specifier = source.slice(at + 1, end)
    const clause = word === 'from' ? clauseBefore(code, match.index) : ''
    imports.push({
      specifier,
      form: paren === undefined ? 'static' : 'dynamic',
      clause,
      line: lineAt(code, match.index),
    })
  }
  return { imports, computed, code }
}

function clauseBefore(code: string, end: number): string {
  const start = [...code.slice(0, end).matchAll(/(?<![.\w$])(?:import|export)(?![\w$])/g)].at(-1)?.index
  return start === undefined ? '' : code.slice(start + 'import'.length, end).trim()
}

export function lineAt(text: string, index: number): number {
  let line = 1
  for (let i = text.indexOf('\n'); i >= 0 && i < index; i = text.indexOf('\n', i + 1)) line++
  return line
}

/** Words after which a slash begins a regular expression although they look like names. */
const beforeRegex = /(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield|instanceof)$/

/** The source with everything that is not code replaced by spaces; quotes, backticks and line breaks stay. */
export function blank(source: string): string {
  const out = source.split('')
  const erase = (from: number, to: number): void => {
    for (let i = from; i < to && i < out.length; i++) if (out[i] !== '\n') out[i] = ' '
  }
  /** Depth of braces at which each template literal around us continues. */
  const templates: number[] = []
  let depth = 0
  let i = 0
  const template = (start: number): number => {
    let j = start
    while (j < source.length && source[j] !== '`') {
      if (source[j] === '\\') j++
      else if (source[j] === '$' && source[j + 1] === '{') {
        erase(start, j)
        templates.push(depth++)
        return j + 2
      }
      j++
    }
    erase(start, j)
    return j + 1
  }
  while (i < source.length) {
    const c = source[i]!
    if (c === '/' && source[i + 1] === '/') {
      const end = indexOrEnd(source, '\n', i)
      erase(i, end)
      i = end
    } else if (c === '/' && source[i + 1] === '*') {
      const end = Math.min(indexOrEnd(source, '*/', i + 2) + 2, source.length)
      erase(i, end)
      i = end
    } else if (c === "'" || c === '"') {
      const end = endOfString(source, i)
      erase(i + 1, end)
      i = end + 1
    } else if (c === '`') i = template(i + 1)
    else if (c === '/' && regexMayStart(out, i)) {
      const end = endOfRegex(source, i)
      erase(i + 1, end)
      i = end + 1
    } else {
      if (c === '{') depth++
      else if (c === '}' && --depth === templates.at(-1)) {
        templates.pop()
        i = template(i + 1)
        continue
      }
      i++
    }
  }
  return out.join('')
}

function indexOrEnd(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from)
  return at < 0 ? text.length : at
}

/** Index of the closing quote, or of the end of the line: a broken literal must not swallow the rest of the file. */
function endOfString(source: string, start: number): number {
  let i = start + 1
  while (i < source.length && source[i] !== source[start] && source[i] !== '\n') i += source[i] === '\\' ? 2 : 1
  return i
}

function endOfRegex(source: string, start: number): number {
  let inClass = false
  let i = start + 1
  for (; i < source.length && source[i] !== '\n'; i++) {
    if (source[i] === '\\') i++
    else if (source[i] === '[') inClass = true
    else if (source[i] === ']') inClass = false
    else if (source[i] === '/' && !inClass) break
  }
  return i
}

/** A slash divides after a value and begins a regular expression anywhere else. */
function regexMayStart(out: readonly string[], slash: number): boolean {
  let i = slash - 1
  while (i >= 0 && (out[i] === ' ' || out[i] === '\n' || out[i] === '\t')) i--
  if (i < 0) return true
  if (!/[\w$)\]}'"`]/.test(out[i]!)) return true
  return beforeRegex.test(out.slice(Math.max(0, i - 11), i + 1).join(''))
}
