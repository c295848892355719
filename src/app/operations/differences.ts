import type { Json } from '#kernel/json.ts'

/** One place where two JSON values differ: absent on a side where there is nothing. `[3].price` */
export type Difference = { readonly path: string; readonly before?: Json; readonly after?: Json }

/** Differences told of one pair. */
const most = 100
const deepest = 32

/**
 * Where two JSON values differ, in the order of the first. Objects by name, lists by place: what was put in at the front of a
 * list shows as a change of each place. At most 100 differences.
 */
export function differences(before: Json | undefined, after: Json | undefined): readonly Difference[] {
  const found: Difference[] = []
  const walk = (path: string, a: Json | undefined, b: Json | undefined, depth: number): void => {
    if (found.length >= most || same(a, b)) return
    if (depth < deepest && isRecord(a) && isRecord(b)) {
      for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
        walk(path === '' ? name : `${path}.${name}`, own(a, name), own(b, name), depth + 1)
      }
    } else if (depth < deepest && Array.isArray(a) && Array.isArray(b)) {
      for (let i = 0; i < Math.max(a.length, b.length); i++) walk(`${path}[${i}]`, a[i], b[i], depth + 1)
    } else {
      found.push({ path, ...(a === undefined ? {} : { before: a }), ...(b === undefined ? {} : { after: b }) })
    }
  }
  walk('', before, after, 0)
  return found
}

type JsonRecord = { readonly [name: string]: Json }

function isRecord(value: Json | undefined): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function own(of: JsonRecord, name: string): Json | undefined {
  return Object.hasOwn(of, name) ? of[name] : undefined
}

function same(a: Json | undefined, b: Json | undefined): boolean {
  return a === b || (typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b))
}
