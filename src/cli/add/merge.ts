import { nullable, union, type Field, type ObjectShape, type Shape } from './shape.ts'

/** Most options that a union may have for its fields to be merged into each of them. */
const options = 20

/** Deepest merging: two schemas that each contain themselves have no end. Beyond it the first of them stands for all. */
const deepest = 4

/** All of `parts` at once (`allOf`): objects become one object, the rest stays side by side. */
export function merged(parts: readonly Shape[], resolved: (shape: Shape) => Shape, depth = 0): Shape {
  const flat = parts.flatMap((p) => (p.is === 'both' ? p.of : [p])).filter((p) => p.is !== 'unknown')
  if (flat.length > 0 && flat.every((p) => p.is === 'nullable')) {
    return nullable(
      merged(
        flat.map((p) => (p.is === 'nullable' ? p.of : p)),
        resolved,
        depth + 1,
      ),
    )
  }
  const bare = flat.map((p) => (p.is === 'nullable' ? p.of : p))
  const different = [...new Map(bare.map((p) => [JSON.stringify(p), p])).values()]
  if (different.length === 0) return { is: 'unknown' }
  if (different.length === 1 || depth > deepest) return different[0]!
  const shapes = different.map((p) => {
    const shape = resolved(p)
    return shape.is === 'nullable' ? shape.of : shape
  })
  const known = shapes.filter((s) => s.is !== 'unknown')
  if (known.length === 0) return { is: 'unknown' }
  // A reference that adds nothing but its name keeps it.
  const named = different.filter((_, i) => shapes[i]!.is !== 'unknown')
  if (named.length === 1) return named[0]!
  const objects = known.filter((s) => s.is === 'object')
  if (objects.length === known.length) return objects.reduce((a, b) => joined(a, b, resolved, depth))
  const unions = known.filter((s) => s.is === 'union')
  if (depth < 2 && unions.length === 1 && objects.length === known.length - 1 && unions[0]!.of.length <= options) {
    return union(unions[0]!.of.map((option) => merged([...objects, option], resolved, depth + 1)))
  }
  if (known.every((s) => s.is === known[0]!.is) && ['string', 'number', 'boolean'].includes(known[0]!.is)) {
    return Object.assign({}, ...known) as Shape
  }
  // A list of values says more than the type that stands beside it.
  const values = known.filter((s) => s.is === 'values')
  if (values.length > 0 && known.every((s) => ['values', 'string', 'number', 'boolean'].includes(s.is)))
    return values[0]!
  return { is: 'both', of: different }
}

function joined(a: ObjectShape, b: ObjectShape, resolved: (shape: Shape) => Shape, depth: number): ObjectShape {
  const needs = new Set([...(a.needs ?? []), ...(b.needs ?? [])])
  const fields = new Map<string, Field>()
  for (const f of [...a.fields, ...b.fields]) {
    const before = fields.get(f.name)
    const required = f.required || before?.required === true || needs.has(f.name)
    const shape = before ? merged([before.shape, f.shape], resolved, depth + 1) : f.shape
    fields.set(f.name, { ...before, ...f, shape, required })
  }
  const left = [...needs].filter((n) => !fields.has(n))
  // `additionalProperties: false` in one part would forbid the fields of the others: nobody means that.
  const rest =
    a.rest === false && b.rest === false ? false : [a.rest, b.rest].find((r) => r !== undefined && r !== false)
  return {
    is: 'object',
    fields: [...fields.values()],
    ...(rest === undefined ? {} : { rest }),
    ...(left.length > 0 ? { needs: left } : {}),
  }
}
