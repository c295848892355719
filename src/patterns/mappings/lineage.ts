import type { Definition } from '#kernel/definition.ts'
import { printPath } from './path.ts'
import { record } from './recorder.ts'
import { planOf, stateOf } from './state.ts'

/** What one field of the target is made of. */
export type Lineage = {
  readonly target: string
  /** Source paths, `items[].price` for each element, `*` for the whole record; empty for a constant. */
  readonly sources: readonly string[]
  /** `arrow`, `copy`, `constant`, or the name of the transform. */
  readonly via: string
  /** False when an arrow could not be followed to its end: there may be more sources than are named. */
  readonly known: boolean
}

/**
 * The sources of each field, in the order of definition: exact for a document; for arrows what one run against a
 * recording object read, so a branch that this run did not take is not seen. Empty for a document that is wrong or was
 * not loaded. Runs each arrow once, on every call.
 */
export function lineage(mapping: Definition): readonly Lineage[] {
  const state = stateOf(mapping)
  if (state.given.fields) {
    return Object.entries(state.given.fields).map(([target, arrow]) => {
      const { sources, complete } = record(arrow)
      return { target: printPath([target]), sources, via: 'arrow', known: complete }
    })
  }
  return (planOf(state)?.plan?.steps ?? []).map(({ target, source, transform }) => ({
    target: printPath(target),
    sources: source ? [printPath(source)] : [],
    via: source ? transform.name : 'constant',
    known: true,
  }))
}

/** One line a field: `contact ← email`, `total ← items[].price, rate`, `note ← constant`, `hash ← unknown`. */
export function printLineage(rows: readonly Lineage[]): string {
  return rows
    .map(({ target, sources, known }) => {
      const named = sources.join(', ')
      if (!known) return `${target} ← ${named ? `${named}, and unknown` : 'unknown'}`
      return `${target} ← ${named || 'constant'}`
    })
    .join('\n')
}
