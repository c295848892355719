import { changesOf, leastAnswers, settle, type Change } from './changes.ts'
import { Shape } from './shape.ts'
import type { World } from './variation.fixture.ts'

export const day = 86_400_000

export type Told = Change & {
  /** Days since the first answer. */
  readonly day: number
  /** Answers looked at so far. */
  readonly answers: number
}

/** What a shape tells of a world in so many days, an answer a minute at most, after seven days of learning: as `DriftWatch` does it. */
export function watched(world: World, days: number): { readonly told: readonly Told[]; readonly shape: Shape } {
  const told: Told[] = []
  let { at, answer } = world.next()
  const shape = new Shape(at, () => false)
  let last = Number.NEGATIVE_INFINITY
  for (; at - shape.born < days * day; { at, answer } = world.next()) {
    if (at - last < 60_000) continue
    last = at
    shape.learn(answer, at)
    if (shape.settled)
      for (const c of changesOf(shape, at)) told.push({ ...c, day: (at - shape.born) / day, answers: shape.answers })
    else if (shape.answers >= leastAnswers && at - shape.born >= 7 * day) settle(shape)
  }
  return { told, shape }
}
