/** Where the shapes of two JSON values differ, in words: `items[].price: was number, is string`. Values do not matter. */
export function shapeChanges(
  before: unknown,
  after: unknown,
  ignored: (name: string, path: string) => boolean,
): readonly string[] {
  const found: string[] = []
  const walk = (path: string, a: unknown, b: unknown): void => {
    const [was, is] = [typeOf(a), typeOf(b)]
    if (was !== is) {
      found.push(`${path || 'the answer'}: was ${was}, is ${is}`)
    } else if (was === 'list') {
      // Their elements as one: a list may be longer today.
      const [x, y] = [merged(a as readonly unknown[]), merged(b as readonly unknown[])]
      if (x !== undefined && y !== undefined) walk(`${path}[]`, x, y)
    } else if (was === 'object') {
      const [x, y] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>]
      for (const name of new Set([...Object.keys(x), ...Object.keys(y)])) {
        const at = path === '' ? name : `${path}.${name}`
        if (ignored(name, at)) continue
        if (!Object.hasOwn(y, name)) found.push(`${at}: is gone`)
        else if (!Object.hasOwn(x, name)) found.push(`${at}: is new`)
        else walk(at, x[name], y[name])
      }
    }
  }
  walk('', before, after)
  return found
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value
}

/** One element that has every field of all: of a field the first value counts. */
function merged(list: readonly unknown[]): unknown {
  const [first] = list
  if (!list.every((v) => typeOf(v) === 'object')) return first
  return list.length === 0
    ? undefined
    : Object.fromEntries(list.toReversed().flatMap((v) => Object.entries(v as object)))
}
