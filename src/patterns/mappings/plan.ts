import type { Path } from './path.ts'
import type { Transform } from './transforms.ts'

/** What a step answers instead of a value when its record must be rejected. */
export const rejected: unique symbol = Symbol('rejected')

/** What happens where there is no mapped value: rejected, left out (undefined), or this value. */
export type Outcome = typeof rejected | string | number | boolean | null | undefined

/** One entry of a document, checked: everything that the two engines need and nothing that came from the text unread. */
export type Step = {
  readonly target: Path
  /** Absent for a constant, whose value is `missing`. */
  readonly source: Path | undefined
  readonly transform: Transform
  readonly missing: Outcome
  readonly null: Outcome
  readonly invalid: Outcome
  /** What the empty text counts as. */
  readonly empty: 'keep' | 'missing' | 'null'
  readonly sensitive: boolean
}

/** The shape of the target. `may` says that the part can be left out of a record. */
export type Tree =
  | { readonly kind: 'value'; readonly step: number; readonly may: boolean }
  | { readonly kind: 'object'; readonly parts: readonly (readonly [name: string, part: Tree])[]; readonly may: boolean }
  /** Indexes that no entry writes are undefined. */
  | { readonly kind: 'array'; readonly parts: readonly (Tree | undefined)[]; readonly may: boolean }

export type Plan = { readonly steps: readonly Step[]; readonly root: Tree }

/** Whether the step can leave its target out. */
export function mayBeAbsent(step: Step): boolean {
  return step.missing === undefined || step.null === undefined || step.invalid === undefined
}
