import { printPath, readPath, type Path } from './path.ts'
import { isSensitivePath, mostRejects, showValue, type Reject } from './reject.ts'
import { planOf, type State } from './state.ts'

type Issue = { readonly message: string; readonly path?: unknown }

/** What the schema of the target refuses, with the field that it names and the source path that filled it. */
export function issueRejects(state: State, target: unknown, issues: readonly Issue[], index: number): Reject[] {
  return issues.slice(0, mostRejects).map((issue): Reject => {
    const place = segments(issue.path)
    const field = printPath(place)
    const step = planOf(state)?.plan?.steps.find(({ target }) => covers(target, place))
    const path = step?.source ? printPath(step.source) : ''
    const sensitive = step?.sensitive === true || isSensitivePath(field)
    // A message may quote what it refuses; then it is as sensitive as the value.
    const reason = sensitive ? 'does not fit the schema of the target' : issue.message.slice(0, 300)
    return { index, field, path, value: showValue(readPath(target, place), [], sensitive), rule: 'schema', reason }
  })
}

/** Whether the entry's target is the place, holds it, or lies in it. */
function covers(target: Path, place: Path): boolean {
  return place.length > 0 && target.slice(0, place.length).every((segment, i) => segment === place[i])
}

function segments(path: unknown): Path {
  if (!Array.isArray(path)) return []
  return path.map((part: unknown) => {
    const key = typeof part === 'object' && part !== null && 'key' in part ? part.key : part
    return typeof key === 'number' ? key : String(key)
  })
}
