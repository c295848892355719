import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml'

/** A place in a document: lines and columns from 1. Absent for a document that was passed as an object. */
export type Where = { readonly line: number; readonly column: number }
export type Option = { readonly value: unknown; readonly where: Where | undefined }
/** One entry as it was written: nothing is judged yet but that it is a list of options. */
export type RawEntry = {
  readonly index: number
  readonly where: Where | undefined
  readonly options: ReadonlyMap<string, Option>
}
export type Found = {
  readonly at: string
  readonly where: Where | undefined
  readonly message: string
  readonly fix: string
}
export type RawDocument = { readonly entries: readonly RawEntry[]; readonly problems: readonly Found[] }

/** Largest document in bytes, most entries, most aliases: enough for any real form, too little for a bomb. */
export const bounds = { bytes: 1_048_576, entries: 1_000, aliases: 100 } as const

const known = ['mappings', 'name', 'description', 'version']
const shape = 'write `mappings:` with a list of entries like { source: a, target: b }'
/** Stands for a list or an object where one value is expected; no option accepts it. */
export const notOneValue = Object.freeze({ notOneValue: true })

/** Reads a mapping document, from YAML (JSON is YAML) or an object, and reports all that is wrong with its form. */
export function readDocument(document: unknown): RawDocument {
  return typeof document === 'string' ? readText(document) : readObject(document)
}

function readText(text: string): RawDocument {
  const wrong = (message: string, fix: string): RawDocument => ({
    entries: [],
    problems: [{ at: '', where: { line: 1, column: 1 }, message, fix }],
  })
  if (text.length > bounds.bytes || new TextEncoder().encode(text).length > bounds.bytes) {
    return wrong('the document is larger than 1 MiB', 'split it into several mappings')
  }
  const lines = new LineCounter()
  try {
    const doc = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      strict: true,
      uniqueKeys: true,
      version: '1.2',
    })
    return readYaml(doc, lines)
  } catch {
    // A document that nests thousands of levels ends the parser's recursion.
    return wrong('the document cannot be read: it nests too deep', 'write entries as flat lists of options')
  }
}

function readYaml(doc: Document.Parsed, lines: LineCounter): RawDocument {
  const where = (offset: number | undefined): Where => {
    const { line, col } = lines.linePos(offset ?? 0)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const problems: Found[] = [...doc.errors, ...doc.warnings].slice(0, 20).map((e) => ({
    at: '',
    where: where(e.pos[0]),
    message: e.code === 'DUPLICATE_KEY' ? 'the key is written twice' : `not valid YAML: ${e.message.slice(0, 200)}`,
    fix: e.code === 'DUPLICATE_KEY' ? 'remove one of them' : 'correct the YAML at this place',
  }))
  let aliases = 0
  visit(doc, { Alias: () => (++aliases > bounds.aliases ? visit.BREAK : undefined) })
  if (aliases > bounds.aliases) {
    problems.push({
      at: '',
      where: where(0),
      message: `more than ${bounds.aliases} aliases`,
      fix: 'write the values out',
    })
  }
  // A key written twice hides nothing of the rest; broken syntax does.
  if (aliases > bounds.aliases || doc.warnings.length > 0 || doc.errors.some((e) => e.code !== 'DUPLICATE_KEY'))
    return { entries: [], problems }
  const real = (node: unknown): Node | undefined =>
    (isAlias(node) ? node.resolve(doc) : (node as Node | undefined)) ?? undefined
  const top = real(doc.contents)
  if (!isMap(top))
    return {
      entries: [],
      problems: [{ at: '', where: where(0), message: 'the document is not an object', fix: shape }],
    }
  let list: Node | undefined
  for (const { key, value } of top.items) {
    const name = isScalar(key) ? String(key.value) : ''
    if (name === 'mappings') list = real(value)
    else if (!known.includes(name)) problems.push(unknownKey(name, where((key as Node).range?.[0])))
  }
  if (!isSeq(list))
    return {
      entries: [],
      problems: [
        ...problems,
        { at: 'mappings', where: where(top.range?.[0]), message: 'there is no list of entries', fix: shape },
      ],
    }
  const entries: RawEntry[] = []
  for (const [index, item] of list.items.entries()) {
    const place = where((item as Node).range?.[0])
    const entry = real(item)
    if (!isMap(entry))
      problems.push({ at: `mappings[${index}]`, where: place, message: 'the entry is not an object', fix: shape })
    else {
      const options = new Map<string, Option>()
      for (const { key, value } of entry.items) {
        const node = real(value)
        const at = where(((value ?? key) as Node).range?.[0])
        options.set(isScalar(key) ? String(key.value) : '', {
          value: isScalar(node) ? node.value : node ? notOneValue : null,
          where: at,
        })
      }
      entries.push({ index, where: place, options })
    }
  }
  return finish(entries, problems, where(list.range?.[0]))
}

function readObject(document: unknown): RawDocument {
  const problems: Found[] = []
  const list = isObject(document) && Object.hasOwn(document, 'mappings') ? document.mappings : undefined
  if (!isObject(document) || !Array.isArray(list)) {
    return {
      entries: [],
      problems: [{ at: 'mappings', where: undefined, message: 'there is no list of entries', fix: shape }],
    }
  }
  for (const name of Object.keys(document)) if (!known.includes(name)) problems.push(unknownKey(name, undefined))
  const entries: RawEntry[] = []
  for (const [index, item] of list.entries()) {
    if (!isObject(item))
      problems.push({ at: `mappings[${index}]`, where: undefined, message: 'the entry is not an object', fix: shape })
    else {
      const options = Object.entries(item).map(([name, value]): [string, Option] => [
        name,
        { value: typeof value === 'object' && value !== null ? notOneValue : value, where: undefined },
      ])
      entries.push({ index, where: undefined, options: new Map(options) })
    }
  }
  return finish(entries, problems, undefined)
}

function finish(entries: RawEntry[], problems: Found[], where: Where | undefined): RawDocument {
  if (entries.length > bounds.entries) {
    return {
      entries: [],
      problems: [
        ...problems,
        {
          at: 'mappings',
          where,
          message: `more than ${bounds.entries} entries`,
          fix: 'split it into several mappings',
        },
      ],
    }
  }
  if (entries.length === 0 && problems.length === 0)
    problems.push({ at: 'mappings', where, message: 'the list of entries is empty', fix: shape })
  return { entries, problems }
}

function unknownKey(name: string, where: Where | undefined): Found {
  return {
    at: name.slice(0, 40),
    where,
    message: `"${name.slice(0, 40)}" is not known`,
    fix: `known: ${known.join(', ')}`,
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
