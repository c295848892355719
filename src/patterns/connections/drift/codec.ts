import { kinds } from './kinds.ts'
import { Shape, place, type Hidden, type Place } from './shape.ts'
import type { Tally } from './tally.ts'

/** Raised when what is stored means something else: an older shape is then learned anew. */
const version = 1

type Numbers = readonly number[]
type Stored = readonly [
  trials: number,
  present: Numbers | 0,
  missing: Numbers | 0,
  kinds: readonly Numbers[],
  words: Readonly<Record<string, Numbers>> | 0,
  fields: Readonly<Record<string, Stored>> | 0,
  rest: Stored | 0,
  items: Stored | 0,
]

/** A shape as text: about 200 bytes a place. */
export function encodeShape(s: Shape): string {
  return JSON.stringify([version, s.born, s.answers, s.stretch, s.settled ? 1 : 0, encode(s.root)])
}

/** Undefined for what is not such a text, or is of another version. */
export function decodeShape(text: string, hidden: Hidden): Shape | undefined {
  try {
    const [stored, born, answers, stretch, settled, root] = JSON.parse(text) as [...number[], Stored]
    if (stored !== version) return undefined
    let places = 0
    const shape = new Shape(
      born as number,
      hidden,
      decode(root as Stored, () => places++),
    )
    shape.answers = answers as number
    shape.stretch = stretch as number
    shape.settled = settled === 1
    shape.places = places - 1
    return shape
  } catch {
    return undefined
  }
}

function encode(p: Place): Stored {
  return [
    p.trials,
    p.present ? numbers(p.present) : 0,
    p.missing ? numbers(p.missing) : 0,
    [...p.kinds].map(([kind, t]) => [kinds.indexOf(kind), ...numbers(t)]),
    p.words ? entries(p.words, numbers) : 0,
    p.fields ? entries(p.fields, encode) : 0,
    p.rest ? encode(p.rest) : 0,
    p.items ? encode(p.items) : 0,
  ]
}

function decode([trials, present, missing, ofKind, words, fields, rest, items]: Stored, count: () => void): Place {
  count()
  const p = place()
  p.trials = trials
  if (present) p.present = tallyOf(present)
  if (missing) p.missing = tallyOf(missing)
  for (const [kind, ...t] of ofKind) p.kinds.set(kinds[kind!]!, tallyOf(t))
  p.words = words === 0 ? undefined : new Map(Object.entries(words).map(([word, t]) => [word, tallyOf(t)]))
  p.fields = fields === 0 ? undefined : new Map(Object.entries(fields).map(([name, f]) => [name, decode(f, count)]))
  if (rest) p.rest = decode(rest, count)
  if (items) p.items = decode(items, count)
  return p
}

function entries<T, S>(map: ReadonlyMap<string, T>, made: (value: T) => S): Record<string, S> {
  // Names are theirs: `__proto__` would be an assignment, so these are own properties by definition.
  return Object.fromEntries([...map].map(([name, value]) => [name, made(value)]))
}

function numbers(t: Tally): Numbers {
  const flags = (t.known ? 1 : 0) + (t.gone ? 2 : 0)
  return [t.count, t.first, t.last, t.base, t.gap, t.run, t.spread, t.marked, flags, t.at]
}

function tallyOf(stored: Numbers): Tally {
  const [count, first, last, base, gap, run, spread, marked, flags, at] = stored as readonly [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return { count, first, last, base, gap, run, spread, marked, known: (flags & 1) !== 0, gone: (flags & 2) !== 0, at }
}
