/**
 * XML as SOAP has it (XML 1.0 and Namespaces 1.0 without DTD and processing instructions, which SOAP forbids): well-formed or
 * refused. There is nothing to expand: of entities only the five predefined ones and character references exist.
 */
export type Element = {
  /** Local name. */
  readonly name: string
  /** Address of its namespace; empty when it has none. */
  readonly space: string
  /** By local name, namespaces aside: declarations and `xsi:` are not among them. */
  readonly attributes: ReadonlyMap<string, string>
  /** `xsi:nil` is true. */
  readonly nil: boolean
  readonly children: readonly (Element | string)[]
}

export class XmlError extends Error {}

type Open = {
  readonly raw: string
  readonly name: string
  readonly space: string
  readonly attributes: Map<string, string>
  readonly nil: boolean
  readonly spaces: Spaces
  readonly children: (Element | string)[]
}

/** Linked, not copied: a document cannot make each of its elements pay for the declarations of all. */
type Spaces = { readonly own: ReadonlyMap<string, string>; readonly outer: Spaces | undefined }

/** Deeper or busier documents are refused. */
const deepest = 128
const mostAttributes = 200

const instance = 'http://www.w3.org/2001/XMLSchema-instance'
const reserved: Spaces = {
  own: new Map([
    ['', ''],
    ['xml', 'http://www.w3.org/XML/1998/namespace'],
  ]),
  outer: undefined,
}

const nameText = String.raw`[\p{L}_][\p{L}\p{M}\p{N}_.\-·]*`
const startTag = new RegExp(String.raw`<((?:${nameText}:)?${nameText})`, 'uy')
const endTag = new RegExp(String.raw`</((?:${nameText}:)?${nameText})[ \t\r\n]*>`, 'uy')
const attribute = new RegExp(
  String.raw`[ \t\r\n]+((?:${nameText}:)?${nameText})[ \t\r\n]*=[ \t\r\n]*(?:"([^"<]*)"|'([^'<]*)')`,
  'uy',
)
const closing = /[ \t\r\n]*(\/?)>/y
const declaration = /^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*["']1\.[0-9]["'][^<>?]*\?>/
const forbidden = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

/** The root of a document. Throws `XmlError` with what is wrong and where; quotes nothing of the document. Linear in its length. */
export function parseXml(source: string): Element {
  const text = source
    .replace(/^\ufeff/, '')
    .replaceAll('\r\n', '\n')
    .replaceAll('\r', '\n')
  if (forbidden.test(text)) throw new XmlError('it has a character that XML forbids')
  return new Parser(text).document()
}

class Parser {
  readonly #text: string
  readonly #open: Open[] = []
  #at = 0
  #root: Element | undefined

  constructor(text: string) {
    this.#text = text
  }

  document(): Element {
    this.#at = declaration.exec(this.#text)?.[0].length ?? 0
    while (this.#at < this.#text.length) this.#next()
    if (this.#open.length > 0 || !this.#root) this.#fail('it ends before its root does')
    return this.#root
  }

  #next(): void {
    const text = this.#text
    if (text[this.#at] !== '<') return this.#characters()
    if (text.startsWith('</', this.#at)) return this.#end()
    if (text.startsWith('<!--', this.#at)) return this.#comment()
    if (text.startsWith('<![CDATA[', this.#at)) return this.#cdata()
    if (text.startsWith('<!', this.#at)) this.#fail('it has a document type, which is refused')
    if (text.startsWith('<?', this.#at)) this.#fail('it has a processing instruction, which is refused')
    this.#start()
  }

  #characters(): void {
    const end = this.#text.indexOf('<', this.#at)
    const raw = this.#text.slice(this.#at, end < 0 ? undefined : end)
    if (raw.includes(']]>')) this.#fail('it has "]]>" in text')
    const open = this.#open.at(-1)
    if (open) open.children.push(this.#resolved(raw))
    else if (raw.trim() !== '') this.#fail('it has text outside of its root')
    this.#at += raw.length
  }

  #comment(): void {
    const end = this.#text.indexOf('--', this.#at + 4)
    if (end < 0 || this.#text[end + 2] !== '>') this.#fail('it has a comment that does not end')
    this.#at = end + 3
  }

  #cdata(): void {
    const open = this.#open.at(-1)
    const end = this.#text.indexOf(']]>', this.#at)
    if (!open || end < 0) this.#fail('it has a CDATA section that does not belong there, or does not end')
    open.children.push(this.#text.slice(this.#at + 9, end))
    this.#at = end + 3
  }

  #start(): void {
    const raw = this.#match(startTag)?.[1] ?? this.#fail('it has a tag that is none')
    if (this.#root && this.#open.length === 0) this.#fail('it has two roots')
    if (this.#open.length >= deepest) this.#fail(`it nests deeper than ${deepest} levels`)
    const given = new Map<string, string>()
    for (let a = this.#match(attribute); a; a = this.#match(attribute)) {
      if (given.has(a[1]!)) this.#fail('it has an attribute twice')
      if (given.size >= mostAttributes) this.#fail(`it has an element with more than ${mostAttributes} attributes`)
      given.set(a[1]!, this.#resolved((a[2] ?? a[3]!).replaceAll(/[\t\n]/g, ' ')))
    }
    const close = this.#match(closing) ?? this.#fail('it has a tag that does not end')
    const open = this.#opened(raw, given)
    this.#open.push(open)
    if (close[1] === '/') this.#closed()
  }

  #opened(raw: string, given: ReadonlyMap<string, string>): Open {
    const outer = this.#open.at(-1)?.spaces ?? reserved
    const spaces = declared(outer, given)
    const { name, space } = this.#named(raw, spaces, spaceOf('', spaces)!)
    const attributes = new Map<string, string>()
    const seen = new Set<string>()
    let nil = false
    for (const [at, value] of given) {
      if (at === 'xmlns' || at.startsWith('xmlns:')) continue
      const a = this.#named(at, spaces, '')
      if (seen.has(`${a.space} ${a.name}`)) this.#fail('it has an attribute twice')
      seen.add(`${a.space} ${a.name}`)
      if (a.space !== instance) attributes.set(a.name, value)
      else if (a.name === 'nil') nil = /^\s*(?:true|1)\s*$/.test(value)
    }
    return { raw, name, space, attributes, nil, spaces, children: [] }
  }

  #named(raw: string, spaces: Spaces, otherwise: string): { readonly name: string; readonly space: string } {
    const colon = raw.indexOf(':')
    if (colon < 0) return { name: raw, space: otherwise }
    const space = spaceOf(raw.slice(0, colon), spaces) ?? this.#fail('it uses a prefix that it does not declare')
    return { name: raw.slice(colon + 1), space }
  }

  #end(): void {
    const raw = this.#match(endTag)?.[1]
    if (raw === undefined || this.#open.at(-1)?.raw !== raw) this.#fail('it has an end tag that fits no start')
    this.#closed()
  }

  #closed(): void {
    const { name, space, attributes, nil, children } = this.#open.pop()!
    const element = { name, space, attributes, nil, children }
    const outer = this.#open.at(-1)
    if (outer) outer.children.push(element)
    else this.#root = element
  }

  #resolved(raw: string): string {
    if (!raw.includes('&')) return raw
    return raw.replaceAll(/&([^;&]{0,12};)?/g, (_, name: string | undefined) => {
      const code = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));$/.exec(name ?? '')
      const point = code ? (code[1] === undefined ? Number(code[2]) : Number.parseInt(code[1], 16)) : undefined
      const char =
        point === undefined ? predefined.get(name ?? '') : point <= 0x10ffff ? String.fromCodePoint(point) : undefined
      if (char === undefined || forbidden.test(char)) this.#fail('it has an entity that does not exist')
      return char
    })
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found) this.#at = pattern.lastIndex
    return found ?? undefined
  }

  #fail(message: string): never {
    throw new XmlError(`${message} (at character ${this.#at})`)
  }
}

const predefined: ReadonlyMap<string, string> = new Map([
  ['lt;', '<'],
  ['gt;', '>'],
  ['amp;', '&'],
  ['quot;', '"'],
  ['apos;', "'"],
])

function declared(outer: Spaces, given: ReadonlyMap<string, string>): Spaces {
  let own: Map<string, string> | undefined
  for (const [name, value] of given) {
    if (name !== 'xmlns' && !name.startsWith('xmlns:')) continue
    if (name !== 'xmlns' && value === '') throw new XmlError('it declares a prefix for nothing')
    own ??= new Map()
    own.set(name.slice(6), value)
  }
  return own ? { own, outer } : outer
}

function spaceOf(prefix: string, spaces: Spaces): string | undefined {
  for (let at: Spaces | undefined = spaces; at; at = at.outer) {
    const space = at.own.get(prefix)
    if (space !== undefined) return space
  }
  return undefined
}

/** Text as XML writes it, in an element or an attribute; undefined when it holds a character that XML forbids. */
export function escapeXml(text: string): string | undefined {
  if (forbidden.test(text)) return undefined
  return text.replaceAll(/[&<>"'\t\n\r]/g, (c) => `&#${c.charCodeAt(0)};`)
}

/** The first child element of this name, whatever its namespace. */
export function child(element: Element | undefined, name: string): Element | undefined {
  return element?.children.find((c): c is Element => typeof c === 'object' && c.name === name)
}

/** Its text, that of elements inside aside. */
export function textOf(element: Element | undefined): string {
  return element?.children.filter((c) => typeof c === 'string').join('') ?? ''
}
