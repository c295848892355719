import type { PageGuess } from './model.ts'
import type { Schemas } from './schemas.ts'
import type { ObjectShape, Shape } from './shape.ts'

/** Names in use for the parameter that asks for the next page by a token. */
const cursors = [
  'cursor',
  'starting_after',
  'page_token',
  'pageToken',
  'next_token',
  'nextToken',
  'next_cursor',
  'nextCursor',
  'page_cursor',
  'pageCursor',
  'after',
  'continuation_token',
  'continuationToken',
  'marker',
  'page[cursor]',
  'page[after]',
  '$skiptoken',
]
const pages = ['page', 'page_number', 'pageNumber', 'page[number]', 'pageNo', 'page_no', 'p']
const offsets = ['offset', 'skip', 'startAt', 'start', '$skip', 'page[offset]', 'startIndex']
/** Where answers name the next page. */
const nexts =
  /^(?:next|next_?(?:cursor|page_?token|token|page|link|url)|nextRecordsUrl|cursor|end_?cursor|after|continuation_?token|marker|next_?marker)$/i
const wrappers = /^(?:paging|pagination|page_?info|meta|metadata|response_metadata|links|_links|cursors?|page|next)$/i

/**
 * How a list seems to go on, from the names of parameters and of fields of the answer: a guess that a person should look
 * at. Undefined when the answer holds no list, or nothing asks for the next page.
 */
export function guessPages(
  query: ReadonlyMap<string, unknown>,
  output: Shape | undefined,
  headers: readonly string[],
  schemas: Schemas,
): PageGuess | undefined {
  const answer = output === undefined ? undefined : schemas.resolved(output)
  const items = answer && itemsOf(answer, schemas)
  if (!answer || items === undefined) return undefined
  const at = items === '' ? {} : { items }
  if (headers.some((h) => h.toLowerCase() === 'link')) return { style: 'link', ...at }
  const named = (names: readonly string[]): string | undefined => names.find((n) => query.has(n))
  const cursor = named(cursors)
  const next = answer.is === 'object' ? nextOf(answer, schemas, 2) : undefined
  const more =
    answer.is === 'object' ? answer.fields.find((f) => /^has_?(?:more|next)$/i.test(f.name))?.name : undefined
  if (cursor !== undefined && next !== undefined) return { style: 'cursor', param: cursor, next, ...at }
  if (cursor !== undefined && more !== undefined && /after/.test(cursor) && hasId(answer, items, schemas)) {
    return { style: 'cursor', param: cursor, after: 'id', more, ...at }
  }
  if (next !== undefined && /(?:url|link|^next$|links\.next)$/i.test(next) && !named([...pages, ...offsets])) {
    return { style: 'cursor', next, ...at }
  }
  const offset = named(offsets)
  const page = named(pages)
  const param = page ?? offset
  if (param === undefined) return undefined
  const style = page === undefined ? 'offset' : 'page'
  const first = query.get(param)
  const begin = first === 0 || first === 1 ? first : undefined
  const usual = style === 'page' ? 1 : 0
  return {
    style,
    ...(param === style ? {} : { param }),
    ...(begin === undefined || begin === usual ? {} : { first: begin }),
    ...at,
  }
}

/** The dotted path of the list in an answer: empty for the answer itself, undefined when there is none, or several. */
function itemsOf(answer: Shape, schemas: Schemas): string | undefined {
  if (answer.is === 'list') return ''
  if (answer.is !== 'object') return undefined
  const lists = listsOf(answer, schemas)
  const likely = lists.find((n) => /^(?:data|items|results?|values?|records|entries|list)$/i.test(n))
  if (lists.length > 0) return likely ?? (lists.length === 1 ? lists[0] : undefined)
  for (const f of answer.fields) {
    if (!/^(?:data|result|response|_embedded)$/i.test(f.name)) continue
    const inner = schemas.resolved(f.shape)
    const below = inner.is === 'object' ? listsOf(inner, schemas) : []
    if (below.length === 1 && dotted(f.name) && dotted(below[0]!)) return `${f.name}.${below[0]!}`
  }
  return undefined
}

function listsOf(shape: ObjectShape, schemas: Schemas): string[] {
  return shape.fields.filter((f) => bare(f.shape, schemas).is === 'list' && dotted(f.name)).map((f) => f.name)
}

function nextOf(shape: ObjectShape, schemas: Schemas, depth: number): string | undefined {
  for (const f of shape.fields) {
    const inner = bare(f.shape, schemas)
    if (nexts.test(f.name) && (inner.is === 'string' || inner.is === 'number') && dotted(f.name)) return f.name
  }
  if (depth === 0) return undefined
  for (const f of shape.fields) {
    const inner = bare(f.shape, schemas)
    if (!wrappers.test(f.name) || inner.is !== 'object' || !dotted(f.name)) continue
    const below = nextOf(inner, schemas, depth - 1)
    if (below !== undefined) return `${f.name}.${below}`
  }
  return undefined
}

function hasId(answer: Shape, items: string, schemas: Schemas): boolean {
  let at = answer
  for (const name of items === '' ? [] : items.split('.')) {
    const field = at.is === 'object' ? at.fields.find((f) => f.name === name) : undefined
    if (!field) return false
    at = bare(field.shape, schemas)
  }
  const item = at.is === 'list' ? bare(at.of, schemas) : undefined
  const options = item?.is === 'union' ? item.of.map((s) => bare(s, schemas)) : [item]
  return options.some((o) => o?.is === 'object' && o.fields.some((f) => f.name === 'id'))
}

function bare(shape: Shape, schemas: Schemas): Shape {
  const at = schemas.resolved(shape)
  return at.is === 'nullable' ? schemas.resolved(at.of) : at
}

/** A name with a full stop would be read as a path. */
function dotted(name: string): boolean {
  return !name.includes('.')
}
