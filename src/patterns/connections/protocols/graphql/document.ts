/** What a request must know of its document: which operation it is. The rest is for the server to understand. */
export type Document = {
  readonly kind: 'query' | 'mutation'
  /** Undefined for an anonymous operation. */
  readonly name: string | undefined
  /** Its variables, without `$`; `required`: not null and without a default. */
  readonly variables: readonly { readonly name: string; readonly required: boolean }[]
}

/** Longest document: 100,000 characters. */
const longest = 100_000

/**
 * Reads an executable document (GraphQL 2021 §2): exactly one query or mutation, and fragments. It knows tokens and brackets and not
 * the grammar, which takes a schema to be of use; what is wrong inside is said by the server at the first call.
 */
export function readDocument(source: unknown): Document | { readonly problem: string } {
  if (typeof source !== 'string') return { problem: 'is not text' }
  if (source.length > longest) return { problem: `is longer than ${longest} characters` }
  const reader = new Reader()
  token.lastIndex = 0
  for (let at = 0; at < source.length; at = token.lastIndex) {
    const found = token.exec(source)
    if (found?.index !== at)
      return { problem: `has a character that GraphQL does not know: ${source.slice(at, at + 10)}` }
    const problem = found[1] === undefined ? undefined : reader.take(found[1])
    if (problem !== undefined) return { problem }
  }
  return reader.end()
}

/** Space, commas, comments and strings have no group: they mean nothing here. Sticky, and without backtracking into a string. */
const token =
  /[\s,\ufeff]+|#[^\n\r]*|"""(?:[^"\\]|\\"""|\\(?!""")|"(?!""))*"""|"(?!"")(?:[^"\\\n\r]|\\.)*"|([A-Za-z_][0-9A-Za-z_]*|\$[A-Za-z_][0-9A-Za-z_]*|\.\.\.|[!&()[\]{}:=@|]|-?[0-9][0-9A-Za-z.+-]*)/y

const opens: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

class Reader {
  readonly #open: string[] = []
  readonly #found: { kind: Document['kind']; name: string | undefined }[] = []
  readonly #variables: { name: string; required: boolean }[] = []
  /** What the definition that we are in is; `head`: before its selection. */
  #in: 'nothing' | 'operation' | 'fragment' = 'nothing'
  #head = false
  #last = ''

  take(text: string): string | undefined {
    const close = opens[text]
    const depth = this.#open.length
    if (depth === 0 && this.#in === 'nothing') {
      const problem = this.#begin(text)
      if (problem !== undefined) return problem
    } else if (depth === 0 && this.#in === 'operation' && this.#head && isKind(this.#last) && isName(text)) {
      this.#found.at(-1)!.name = text
    } else if (depth === 1 && this.#head && this.#in === 'operation' && this.#open[0] === ')') this.#variable(text)
    if (depth === 0 && text === '{') this.#head = false
    this.#last = text
    if (close !== undefined) this.#open.push(close)
    else if (text === ')' || text === ']' || text === '}') {
      if (this.#open.pop() !== text) return `has a ${text} that nothing opened`
      if (this.#open.length === 0 && text === '}') this.#in = 'nothing'
    }
    return undefined
  }

  end(): Document | { readonly problem: string } {
    if (this.#open.length > 0 || this.#in !== 'nothing') return { problem: 'ends in the middle of a definition' }
    const [operation] = this.#found
    if (!operation || this.#found.length > 1)
      return { problem: `has ${this.#found.length} operations: one definition is one operation` }
    return { ...operation, variables: this.#variables }
  }

  #begin(text: string): string | undefined {
    this.#head = true
    if (text === '{') this.#found.push({ kind: 'query', name: undefined })
    else if (text === 'query' || text === 'mutation') this.#found.push({ kind: text, name: undefined })
    else if (text === 'subscription') return 'is a subscription: these do not go over plain HTTP'
    else if (text !== 'fragment') return `has ${text} where a query, a mutation or a fragment must begin`
    this.#in = text === 'fragment' ? 'fragment' : 'operation'
    return undefined
  }

  #variable(text: string): void {
    if (text.startsWith('$')) this.#variables.push({ name: text.slice(1), required: false })
    const variable = this.#variables.at(-1)
    if (variable && text === '!') variable.required = true
    if (variable && text === '=') variable.required = false
  }
}

function isKind(text: string): boolean {
  return text === 'query' || text === 'mutation'
}

function isName(text: string): boolean {
  return /^[A-Za-z_]/.test(text)
}
