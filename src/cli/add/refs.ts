import { fault } from '#kernel/fault.ts'
import { isPlain, type Plain } from './read.ts'

/** A description and the documents that it refers to, by absolute address. */
export type Documents = { readonly root: string; readonly all: ReadonlyMap<string, Plain> }

/** A value of a document, and in which document it stands: references in it are relative to that. */
export type Place = { readonly node: unknown; readonly uri: string }

/** Longest chain of references that lead to references. */
const chain = 50

/** What a value is once its reference, if it is one, is followed. Throws `add.reference` when it leads nowhere or in circles. */
export function follow(documents: Documents, place: Place): Place {
  let at = place
  for (let i = 0; i < chain; i++) {
    const ref = refOf(at.node)
    if (ref === undefined) return at
    at = target(documents, ref, at.uri)
  }
  throw nowhere(refOf(place.node)!, 'it leads to other references without end')
}

export function refOf(node: unknown): string | undefined {
  return isPlain(node) && typeof node['$ref'] === 'string' ? node['$ref'] : undefined
}

/** The absolute name of what a reference means: `<address>#<pointer>`. */
export function absolute(ref: string, uri: string): { readonly uri: string; readonly pointer: string } {
  const hash = ref.indexOf('#')
  const file = hash < 0 ? ref : ref.slice(0, hash)
  const pointer = hash < 0 ? '' : ref.slice(hash + 1)
  if (file === '') return { uri, pointer }
  return { uri: URL.parse(file, uri)?.href ?? file, pointer }
}

export function target(documents: Documents, ref: string, from: string): Place {
  const { uri, pointer } = absolute(ref, from)
  const doc = documents.all.get(uri)
  if (doc === undefined) {
    throw fault('add.reference', {
      message: `the document refers to another one: ${shown(ref)}`,
      detail: { fix: '--allow-refs reads it too: beside the document, or from the same host' },
    })
  }
  let node: unknown = doc
  for (const segment of pointer === '' ? [] : pointer.replace(/^\//, '').split('/')) {
    const name = unescaped(segment)
    const within = typeof node === 'object' && node !== null && Object.hasOwn(node, name)
    if (!within) throw nowhere(ref, 'there is nothing at this place')
    node = (node as Plain)[name]
  }
  return { node, uri }
}

function unescaped(segment: string): string {
  let text = segment
  try {
    text = decodeURIComponent(segment)
  } catch {
    // A percent sign that encodes nothing stands for itself.
  }
  return text.replaceAll('~1', '/').replaceAll('~0', '~')
}

/** The last part of a pointer that says something: `Charge` of `#/components/schemas/Charge`. */
export function lastName(pointer: string): string {
  const parts = pointer.split('/').map(unescaped)
  const last = parts.findLast((p) => /[A-Za-z]/.test(p) && !dull.has(p)) ?? 'schema'
  return last
}

const dull = new Set(['schema', 'items', 'properties', 'content', 'application/json', 'allOf', 'oneOf', 'anyOf'])

function nowhere(ref: string, why: string): Error {
  return fault('add.reference', {
    message: `the reference ${shown(ref)} cannot be followed: ${why}`,
    detail: { fix: 'correct the document, or leave the operation out with --only' },
  })
}

function shown(ref: string): string {
  return JSON.stringify(ref.slice(0, 200))
}
