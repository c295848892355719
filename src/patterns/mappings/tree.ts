import { printPath, type Path } from './path.ts'
import { mayBeAbsent, type Step, type Tree } from './plan.ts'

/** An array may be this much longer than the number of elements that are written: null fills the rest. */
export const widestGap = 16

export type Conflict = { readonly step: number; readonly message: string; readonly fix: string }

type Value = { readonly kind: 'value'; readonly step: number }
type Holder = {
  readonly kind: 'object' | 'array'
  readonly parts: Map<string | number, Value | Holder>
  readonly step: number
}

/** The tree of all targets, and every pair that cannot both be written: the same place twice, a value with parts, a list with names. `numbered` gives the place of a step in its document. */
export function buildTree(
  steps: readonly Step[],
  numbered: (step: number) => number,
): { readonly root: Tree; readonly conflicts: readonly Conflict[] } {
  const conflicts: Conflict[] = []
  const root: Holder = { kind: 'object', parts: new Map(), step: -1 }
  for (const [i, step] of steps.entries()) {
    const conflict = insert(root, steps, i, numbered)
    if (conflict)
      conflicts.push({
        step: i,
        message: `${printPath(step.target)} ${conflict}`,
        fix: 'give each entry a target of its own',
      })
  }
  gaps(root, [], conflicts)
  return { root: finish(root, steps), conflicts }
}

function insert(
  root: Holder,
  steps: readonly Step[],
  index: number,
  numbered: (step: number) => number,
): string | undefined {
  const path = steps[index]!.target
  let at = root
  for (const [depth, segment] of path.entries()) {
    if ((at.kind === 'array') !== (typeof segment === 'number')) {
      return `writes ${at.kind === 'array' ? 'a name into a list' : 'an index into an object'} of mappings[${numbered(at.step)}]`
    }
    const there = at.parts.get(segment)
    if (depth === path.length - 1) {
      if (there) return `is already written by mappings[${numbered(there.step)}]`
      at.parts.set(segment, { kind: 'value', step: index })
    } else if (there?.kind === 'value') {
      return `lies inside the value of mappings[${numbered(there.step)}]`
    } else if (there) at = there
    else {
      const next: Holder = {
        kind: typeof path[depth + 1] === 'number' ? 'array' : 'object',
        parts: new Map(),
        step: index,
      }
      at.parts.set(segment, next)
      at = next
    }
  }
  return undefined
}

function gaps(holder: Holder, path: Path, conflicts: Conflict[]): void {
  if (holder.kind === 'array') {
    const unwritten = Math.max(...(holder.parts.keys() as Iterable<number>)) + 1 - holder.parts.size
    if (unwritten > widestGap) {
      conflicts.push({
        step: holder.step,
        message: `${printPath(path)} would hold ${unwritten} elements that no entry writes`,
        fix: `leave out at most ${widestGap} indexes`,
      })
    }
  }
  for (const [segment, part] of holder.parts) if (part.kind !== 'value') gaps(part, [...path, segment], conflicts)
}

function finish(part: Value | Holder, steps: readonly Step[]): Tree {
  if (part.kind === 'value') return { kind: 'value', step: part.step, may: mayBeAbsent(steps[part.step]!) }
  if (part.kind === 'object') {
    const parts = Array.from(part.parts, ([name, p]) => [String(name), finish(p, steps)] as const)
    return { kind: 'object', parts, may: parts.every(([, p]) => p.may) }
  }
  const parts: (Tree | undefined)[] = []
  for (const [at, p] of part.parts as ReadonlyMap<number, Value | Holder>) {
    while (parts.length <= at) parts.push(undefined)
    parts[at] = finish(p, steps)
  }
  return { kind: 'array', parts, may: parts.every((p) => p === undefined || p.may) }
}
