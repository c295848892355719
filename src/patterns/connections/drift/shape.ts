import { isText, isWord, kindOf, type Kind } from './kinds.ts'
import { hit, tally, type Tally } from './tally.ts'

/** Bounds of one shape: about 200 KiB of memory and 64 KiB in the store at the very most, usually a tenth. */
export const bounds = { depth: 10, places: 400, fields: 100, elements: 16, words: 20 } as const

/** What is known about one place of the answers of an operation: `items[].price`. */
export type Place = {
  /** Answers in which it could have been: its object was there. Of many elements of a list, one such answer is one trial. */
  trials: number
  /** The answer that the last trial belongs to. */
  answer: number
  present: Tally | undefined
  /** Answers in which at least one object lacked it. */
  missing: Tally | undefined
  /** Trials of these are answers in which it is present. */
  readonly kinds: Map<Kind, Tally>
  /** Fixed words that it was; undefined when there are too many of them, or one was no word. */
  words: Map<string, Tally> | undefined
  /** Fields of an object; undefined for an object whose names are data (`{ "user_17": … }`), whose values are all `rest`. */
  fields: Map<string, Place> | undefined
  rest: Place | undefined
  /** Elements of a list. */
  items: Place | undefined
}

/** Names of fields whose values are never kept, words included. */
export type Hidden = (name: string) => boolean

/**
 * The learned shape of one operation's answers with one status. `learn` takes one answer in; what it costs is bounded by
 * `bounds`, whatever the answer: 10 levels, 400 places, 16 elements of a list, 20 words a place. What is kept is names, types, counts
 * and fixed words, never another value.
 */
export class Shape {
  /** Wall clock. */
  readonly born: number
  answers = 0
  /** The longest row of answers in which something was seen that most answers do not have: how bursty this operation is. */
  stretch = 1
  places = 0
  settled = false
  readonly root: Place
  readonly #hidden: Hidden

  constructor(born: number, hidden: Hidden, root: Place = place()) {
    this.born = born
    this.#hidden = hidden
    this.root = root
  }

  learn(value: unknown, now: number): void {
    this.answers++
    this.#trial(this.root)
    this.#present(this.root, value, now, 0, true)
  }

  #trial(p: Place): void {
    if (p.answer === this.answers) return
    p.answer = this.answers
    p.trials++
  }

  #present(p: Place, value: unknown, now: number, depth: number, words: boolean): void {
    p.present = this.#hit(p.present, p.trials, now)
    const trial = p.present.count
    const kind = kindOf(value)
    p.kinds.set(kind, this.#hit(p.kinds.get(kind), trial, now))
    if (isText(kind)) {
      if (p.words) this.#word(p, value as string, trial, now, words)
      return
    }
    if (depth >= bounds.depth) return
    if (kind === 'object') this.#object(p, value as Readonly<Record<string, unknown>>, now, depth)
    else if (kind === 'list') this.#list(p, value as readonly unknown[], now, depth, words)
  }

  #hit(t: Tally | undefined, trial: number, now: number): Tally {
    if (t === undefined) return tally(trial, now)
    if (t.last === trial) return t
    const ended = hit(t, trial, this.stretch)
    if (ended > this.stretch && t.count * 2 <= trial) this.stretch = Math.min(1_000, ended)
    return t
  }

  #word(p: Place, text: string, trial: number, now: number, allowed: boolean): void {
    // Nothing where a word would stand is no word, and no reason to doubt that words stand there.
    if (text === '') return
    const known = p.words!.get(text)
    if (known) return void this.#hit(known, trial, now)
    if (!allowed || !isWord(text) || p.words!.size >= bounds.words) return void (p.words = undefined)
    // New words come all the time where words are names that people chose: then one more is no news.
    const word = tally(trial, now)
    word.known = this.settled && !isClosed(p.words!, trial)
    p.words!.set(text, word)
  }

  #object(p: Place, value: Readonly<Record<string, unknown>>, now: number, depth: number): void {
    const names = Object.keys(value)
    if (p.fields && (names.length > bounds.fields || isOpen(p.fields))) {
      for (const field of p.fields.values()) this.places -= placesIn(field)
      p.fields = undefined
    }
    const { fields } = p
    if (!fields) {
      if (names.length === 0) return
      const rest = (p.rest ??= this.#place())
      if (!rest) return
      this.#trial(rest)
      for (const name of names.slice(0, bounds.elements)) this.#present(rest, value[name], now, depth + 1, false)
      return
    }
    for (const name of names) {
      let field = fields.get(name)
      if (!field) {
        field = this.#place()
        if (!field) break
        // It could have been in every answer that had its object before this one.
        field.trials = p.kinds.get('object')!.count - 1
        if (field.trials > 0)
          field.missing = { ...tally(1, now), count: field.trials, last: field.trials, run: field.trials, known: true }
        fields.set(name, field)
      }
      this.#trial(field)
      this.#present(field, value[name], now, depth + 1, !this.#hidden(name))
    }
    if (fields.size === names.length) return
    for (const [name, field] of fields) {
      if (Object.hasOwn(value, name)) continue
      this.#trial(field)
      field.missing = this.#hit(field.missing, field.trials, now)
    }
  }

  #list(p: Place, value: readonly unknown[], now: number, depth: number, words: boolean): void {
    if (value.length === 0) return
    const items = (p.items ??= this.#place())
    if (!items) return
    this.#trial(items)
    const step = Math.max(1, value.length / bounds.elements)
    for (let at = 0; at < value.length; at += step) this.#present(items, value[Math.floor(at)], now, depth + 1, words)
  }

  #place(): Place | undefined {
    if (this.places >= bounds.places) return undefined
    this.places++
    return place()
  }
}

export function place(): Place {
  return {
    trials: 0,
    answer: 0,
    present: undefined,
    missing: undefined,
    kinds: new Map(),
    words: new Map(),
    fields: new Map(),
    rest: undefined,
    items: undefined,
  }
}

function placesIn(p: Place): number {
  let n = 1
  for (const inner of [...(p.fields?.values() ?? []), p.rest, p.items]) if (inner) n += placesIn(inner)
  return n
}

/** The last quarter of the trials, and at least 50 of them, brought no new word. */
function isClosed(words: ReadonlyMap<string, Tally>, trial: number): boolean {
  let latest = 0
  for (const { known, first } of words.values()) if (known) latest = Math.max(latest, first)
  // No words were usual here: it has just begun to have them.
  if (latest === 0) return false
  return trial - latest >= Math.max(50, trial / 4)
}

/** Names that come once and do not come again in the next 20 answers are data, not fields: the object is a map. */
function isOpen(fields: ReadonlyMap<string, Place>): boolean {
  if (fields.size > bounds.fields) return true
  if (fields.size < 8) return false
  let once = 0
  for (const { present, trials } of fields.values())
    if (present && present.count <= 2 && trials - present.first >= 20) once++
  return once >= 6 && once * 3 >= fields.size
}
