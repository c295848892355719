import { printPath } from './path.ts'

/** What one arrow read of its source. */
export type Recording = {
  /** Paths as `items[].price`; `*` for the whole record. */
  readonly sources: readonly string[]
  /** Whether the arrow ran to its end on the recording object. */
  readonly complete: boolean
}

/** More reads than this are a loop that the recording object cannot end. */
const most = 10_000
const each = '[]'

type Place = { readonly path: readonly string[]; readonly parent: Place | undefined; used: boolean; touched: boolean }

/**
 * Runs `arrow` once against an object that answers every read with another such object and notes the path. Method calls
 * on values work (`o.name.trim()`), callbacks of arrays get one element (`o.items.map((i) => i.price)` reads
 * `items[].price`), arithmetic and text see 1. One run takes one branch of each condition: what only the other branch
 * reads is not seen. An arrow that throws on the object is recorded up to there and marked incomplete.
 */
export function record(arrow: (source: never) => unknown): Recording {
  const recorder = new Recorder()
  try {
    recorder.use((arrow as (source: unknown) => unknown)(recorder.root))
    return { sources: recorder.sources(), complete: !recorder.exhausted }
  } catch {
    return { sources: recorder.sources(), complete: false }
  }
}

/** Array methods by what they hand on: an element, the same list, or what their callback returns. */
const elements = new Set(['find', 'findLast', 'at', 'pop', 'shift'])
const same = new Set(['filter', 'slice', 'toSorted', 'sort', 'toReversed', 'reverse', 'concat', 'flat', 'values'])

class Recorder {
  readonly #places: Place[] = []
  readonly #of = new WeakMap<object, Place>()
  readonly root: unknown
  #count = 0

  constructor() {
    this.root = this.#object(this.#place([], undefined))
  }

  get exhausted(): boolean {
    return this.#count > most
  }

  /** The value leaves the arrow, or is compared or computed with: what it stands for was read. */
  use(value: unknown, depth = 0): void {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return
    const place = this.#of.get(value)
    if (place) place.used = true
    else if (depth < 8 && typeof value === 'object') for (const v of Object.values(value)) this.use(v, depth + 1)
  }

  sources(): string[] {
    const out = new Set<string>()
    for (const place of this.#places) {
      if (!place.touched || !(place.used || !this.#places.some((p) => p.parent === place && p.touched))) continue
      if (place.parent === undefined && !place.used) continue
      out.add(place.path.length === 0 ? '*' : shown(place.path))
    }
    return Array.from(out)
  }

  #place(path: readonly string[], parent: Place | undefined): Place {
    const place: Place = { path, parent, used: false, touched: true }
    this.#places.push(place)
    return place
  }

  #child(place: Place, name: string): Place {
    const path = [...place.path, name]
    const there = this.#places.find((p) => p.parent === place && p.path.at(-1) === name)
    if (there) there.touched = true
    return there ?? this.#place(path, place)
  }

  /** Arrow functions have no own property that a proxy would have to show: `{ ...o }` and `Object.keys(o)` see nothing. */
  #object(place: Place): unknown {
    const proxy = new Proxy(() => undefined, {
      get: (_target, name) => this.#get(place, name),
      apply: (_target, _self, given: readonly unknown[]) => this.#call(place, given),
      has: (_target, name) => typeof name === 'string' && this.#child(place, name) !== undefined,
      ownKeys: () => {
        place.used = true
        return []
      },
      getOwnPropertyDescriptor: () => undefined,
      set: () => false,
      deleteProperty: () => false,
      defineProperty: () => false,
    })
    this.#of.set(proxy, place)
    return proxy
  }

  /** What was worked out from a value that is already noted: its own parts are no fields of the source. */
  #derived(): unknown {
    const proxy: unknown = new Proxy(() => undefined, {
      get: (_target, name) => {
        if (++this.#count > most) throw new RangeError('too many reads')
        if (name === Symbol.toPrimitive) return (hint: string) => (hint === 'string' ? '1' : 1)
        if (name === Symbol.iterator) return () => [proxy].values()
        return typeof name === 'symbol' || name === 'then' ? undefined : proxy
      },
      apply: (_target, _self, given: readonly unknown[]) => {
        for (const value of given) this.use(value)
        const callback = given.find((v) => typeof v === 'function' && !this.#of.has(v)) as
          | ((v: unknown) => unknown)
          | undefined
        if (callback) this.use(callback(proxy))
        return proxy
      },
      ownKeys: () => [],
      getOwnPropertyDescriptor: () => undefined,
      set: () => false,
    })
    return proxy
  }

  #get(place: Place, name: string | symbol): unknown {
    if (++this.#count > most) throw new RangeError('too many reads')
    if (name === Symbol.toPrimitive) {
      place.used = true
      return (hint: string) => (hint === 'string' ? '1' : 1)
    }
    if (name === Symbol.iterator) {
      const element = this.#object(this.#child(place, each))
      return () => [element].values()
    }
    // Not a promise: `await` and Promise.resolve must not call it.
    if (typeof name === 'symbol' || name === 'then') return undefined
    const index = /^(?:0|[1-9]\d{0,5})$/.test(name)
    return this.#object(this.#child(place, index ? `[${name}]` : name))
  }

  /** Only now is it known that the name was a method: the place is not a field, its holder is what was read. */
  #call(method: Place, given: readonly unknown[]): unknown {
    const holder = method.parent
    if (!holder) throw new TypeError('the record is not a function')
    method.touched = false
    const name = method.path.at(-1)!
    for (const value of given) this.use(value)
    const callback = given.find(
      (v): v is (...values: unknown[]) => unknown => typeof v === 'function' && !this.#of.has(v),
    )
    const element = callback || elements.has(name) ? this.#child(holder, each) : undefined
    const value = element && this.#object(element)
    if (!callback) {
      if (value !== undefined && elements.has(name)) return value
      if (same.has(name)) return this.#object(holder)
      holder.used = true
      return this.#derived()
    }
    if (name === 'reduce' || name === 'reduceRight') return callback(given.length > 1 ? given[1] : value, value, 0)
    if (name === 'sort' || name === 'toSorted') callback(value, value)
    const result = callback(value, 0, this.#object(holder))
    this.use(result)
    if (name === 'map') return [result]
    if (name === 'flatMap') return [result].flat()
    if (elements.has(name)) return value
    return same.has(name) ? this.#object(holder) : true
  }
}

function shown(path: readonly string[]): string {
  let out = ''
  for (const name of path) {
    if (name === each || /^\[\d+\]$/.test(name)) out += name
    else out += out === '' ? printPath([name]) : `${name.includes('.') ? '' : '.'}${printPath([name])}`
  }
  // A length or a size is read of its list or text.
  return out.replace(/\.length$/, '')
}
