import { checkOptions, type Problem } from '#kernel/definition.ts'
import { isSpan } from '../check/parts.ts'

export function driftProblems(path: string, drift: unknown): Problem[] {
  if (drift === undefined || drift === false) return []
  const problems = checkOptions(path, drift, ['every', 'learn', 'to'])
  if (typeof drift !== 'object' || drift === null) return problems
  const { every, learn, to } = drift as Readonly<Record<string, unknown>>
  for (const [name, value] of Object.entries({ every, learn }))
    if (value !== undefined && !isSpan(value))
      problems.push({ path: `${path}.${name}`, message: 'is not a time', fix: "use a duration: '1m', '7d'" })
  if (to !== undefined && !(typeof to === 'object' && to !== null && 'kind' in to && to.kind === 'topic'))
    problems.push({ path: `${path}.to`, message: 'is not a topic', fix: 'pass what topic(…) returned' })
  return problems
}
