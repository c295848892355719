import { isPlain, type Plain } from './read.ts'
import { follow, type Documents, type Place } from './refs.ts'
import type { Schemas } from './schemas.ts'
import { union, type Shape } from './shape.ts'

/** What is sent or comes back, of the content types that a description offers. */
export type Media = {
  readonly type: string
  readonly as: 'json' | 'form' | 'text' | 'bytes'
  readonly shape: Shape
  readonly example?: unknown
}

const isJson = (type: string): boolean =>
  /^(?:application\/json|[\w.-]+\/[\w.+-]*\+json|text\/json|\*\/\*|application\/\*)$/.test(type)
const isText = (type: string): boolean =>
  /^(?:text\/|application\/(?:xml|yaml|x-ndjson|jsonl)\b|[\w.-]+\/[\w.+-]*\+xml$)/.test(type)

/** The body of a request: JSON where they take it, else a form. A string says why it cannot be sent. */
export function requestMedia(body: Plain, place: Place, documents: Documents, schemas: Schemas): Media | string {
  const all = contentOf(body, place, documents)
  const json = all.find((m) => m.type === 'application/json') ?? all.find((m) => isJson(m.type))
  if (json) return media(json, 'json', documents, schemas)
  const form = all.find((m) => m.type === 'application/x-www-form-urlencoded')
  if (form) return media(form, 'form', documents, schemas)
  return all.length === 0
    ? 'its body is not described'
    : `its body is ${all[0]!.type.slice(0, 60)}; JSON and forms can be sent`
}

/** What a successful answer holds: JSON where there is some, else text, else bytes. Undefined when nothing is described. */
export function answerMedia(answers: readonly Place[], documents: Documents, schemas: Schemas): Media | undefined {
  const found: Media[] = []
  let empty = false
  for (const place of answers) {
    const all = isPlain(place.node) ? contentOf(place.node, place, documents) : []
    const json = all.find((m) => m.type === 'application/json') ?? all.find((m) => isJson(m.type))
    const text = all.find((m) => isText(m.type))
    if (json) found.push(media(json, 'json', documents, schemas))
    else if (text) found.push({ ...media(text, 'text', documents, schemas), shape: { is: 'string' } })
    else if (all[0]) found.push({ ...media(all[0], 'bytes', documents, schemas), shape: { is: 'bytes' } })
    else empty = true
  }
  const first = found.find((m) => m.as === 'json') ?? found[0]
  if (!first) return undefined
  const shape = union(found.filter((m) => m.as === first.as).map((m) => m.shape))
  return { ...first, shape: empty && first.as === 'json' ? { is: 'optional', of: shape } : shape }
}

type Offered = { readonly type: string; readonly node: Plain; readonly place: Place }

function contentOf(node: Plain, place: Place, documents: Documents): Offered[] {
  const content = isPlain(node['content']) ? node['content'] : {}
  return Object.entries(content)
    .slice(0, 50)
    .map(([type, value]) => {
      const at = follow(documents, { node: value, uri: place.uri })
      return { type: type.split(';')[0]!.trim().toLowerCase(), node: isPlain(at.node) ? at.node : {}, place: at }
    })
    .filter((m) => /^[\w.+*-]{1,100}\/[\w.+*-]{1,100}$/.test(m.type))
}

function media(offered: Offered, as: Media['as'], documents: Documents, schemas: Schemas): Media {
  const { node, place, type } = offered
  // 3.2: a stream describes its items.
  const schema = node['schema'] ?? node['itemSchema'] ?? {}
  const example = exampleOf(node, schema, place, documents)
  return { type, as, shape: schemas.shape(schema, place.uri), ...(example === undefined ? {} : { example }) }
}

/** The first example of a media type, its own or its schema's. */
function exampleOf(node: Plain, schema: unknown, place: Place, documents: Documents): unknown {
  if (node['example'] !== undefined) return node['example']
  const first = isPlain(node['examples']) ? Object.values(node['examples'])[0] : undefined
  if (isPlain(first)) {
    const { node: example } = follow(documents, { node: first, uri: place.uri })
    return isPlain(example) ? (example['value'] ?? example['dataValue']) : undefined
  }
  if (!isPlain(schema)) return undefined
  return schema['example'] ?? (Array.isArray(schema['examples']) ? (schema['examples'] as unknown[])[0] : undefined)
}
