import type { Problem } from '#kernel/definition.ts'
import { headerProblems } from './parts.ts'

/** What is wrong with where an operation puts its input fields: `headerFields`, `bodyField`. */
export function placementProblems(
  path: string,
  spec: Readonly<Record<string, unknown>>,
  fields: ReadonlySet<string> | undefined,
  params: readonly string[],
): Problem[] {
  const { headerFields, bodyField } = spec
  const problems: Problem[] = []
  const used = (at: string, name: string): void => {
    if (params.includes(name))
      problems.push({ path: at, message: `"${name}" is already in the path`, fix: 'remove it' })
    else if (fields && !fields.has(name)) {
      const fix = 'add it to the input schema, or remove it'
      problems.push({ path: at, message: `"${name}" is not in the input`, fix })
    }
  }
  if (headerFields !== undefined) {
    const at = `${path}.headerFields`
    if (typeof headerFields !== 'object' || headerFields === null || Array.isArray(headerFields)) {
      return [{ path: at, message: 'is not an object', fix: "use { ifMatch: 'if-match' }" }]
    }
    for (const [field, header] of Object.entries(headerFields)) {
      used(`${at}.${field}`, field)
      // As if it were a fixed field: the same names are the transport's, or hold credentials.
      const name = typeof header === 'string' ? header : ''
      problems.push(
        ...headerProblems(`${at}.${field}`, { [name]: '' }, false).map((p) => ({ ...p, path: `${at}.${field}` })),
      )
    }
  }
  if (bodyField === undefined) return problems
  const at = `${path}.bodyField`
  if (typeof bodyField !== 'string' || bodyField === '') {
    return [...problems, { path: at, message: 'is not a name', fix: "use the name of an input field: 'items'" }]
  }
  used(at, bodyField)
  if (spec['body'] === 'form')
    problems.push({ path: at, message: 'cannot be a form', fix: "remove it, or body: 'form'" })
  return problems
}
