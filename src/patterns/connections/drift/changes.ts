import { isText, sameType, type Kind } from './kinds.ts'
import type { Place, Shape } from './shape.ts'
import { isGone, isNew, type Tally } from './tally.ts'

export type Severity = 'info' | 'warn' | 'breaking'

/** What can change, and how bad it is for those who read the answers. */
export const severities = {
  'field-new': 'info',
  'field-back': 'info',
  'field-gone': 'breaking',
  /** Was in every answer, and is in some only. */
  'field-optional': 'warn',
  type: 'breaking',
  /** Was never null, and is sometimes. */
  null: 'warn',
  /** Is null in every answer now. */
  'null-only': 'breaking',
  format: 'warn',
  'value-new': 'warn',
} as const satisfies Record<string, Severity>

export type What = keyof typeof severities

export type Change = {
  readonly path: string
  readonly what: What
  readonly severity: Severity
  /** Types or formats before and since; the word of `value-new`. */
  readonly before?: string
  readonly now?: string
  /** Wall clock: the first answer that was different, as far as it is known, and when it was believed. */
  readonly first: number
  readonly time: number
  /** Answers that have had it since; of what has gone, answers without it. */
  readonly count: number
  /** Answers looked at since the first that was different. */
  readonly delay: number
}

/** Answers, and time, that a shape learns from before it speaks. */
export const leastAnswers = 50

/** From now on everything that was seen is usual, and what is missing just now has been missing before. */
export function settle(shape: Shape): void {
  shape.settled = true
  eachPlace(shape.root, (p) => {
    usual(p)
    if (!p.present) return
    p.present.gap = Math.max(p.present.gap, p.trials - p.present.last)
    for (const t of p.kinds.values()) t.gap = Math.max(t.gap, p.present.count - t.last)
  })
}

/**
 * What the last answer has made certain, each change once: what is found is marked as usual, or as gone, and not found again. Only
 * places that the last answer spoke about are looked at.
 */
export function changesOf(shape: Shape, now: number): Change[] {
  const found: Change[] = []
  const seen = { shape, now, found }
  visit(shape.root, '', seen)
  return found
}

type Seen = { readonly shape: Shape; readonly now: number; readonly found: Change[] }

function visit(p: Place, path: string, seen: Seen): void {
  const { shape } = seen
  if (p.answer !== shape.answers || !p.present) return
  const here = p.present.last === p.trials
  if (!here) return absent(p, p.present, path, seen)
  if (p.present.gone) {
    p.present.gone = false
    tell(seen, path, 'field-back', { at: seen.now, count: 1 }, 1)
  }
  if (!p.present.known && isNew(p.present, p.trials, shape.stretch)) {
    tell(seen, path, 'field-new', p.present, p.trials - p.present.first + 1, undefined, kindsOf(p))
    forget(p.present)
    return eachPlace(p, usual)
  }
  // Of what is not known to have come to stay, nothing inside is news.
  if (!p.present.known) return
  if (p.missing && !p.missing.known && p.present.last > p.missing.first && isNew(p.missing, p.trials, shape.stretch)) {
    p.missing.known = true
    tell(seen, path, 'field-optional', p.missing, p.trials - p.missing.first + 1)
  }
  ofKind(p, path, seen)
  words(p, path, seen)
  if (p.fields) for (const [name, field] of p.fields) visit(field, path === '' ? name : `${path}.${name}`, seen)
  if (p.rest) visit(p.rest, path === '' ? '*' : `${path}.*`, seen)
  if (p.items) visit(p.items, `${path}[]`, seen)
}

function absent(p: Place, present: Tally, path: string, seen: Seen): void {
  if (!present.known || !isGone(present, p.trials, seen.shape.stretch)) return
  present.gone = true
  if (p.missing) p.missing.known = true
  const missed = p.trials - present.last
  tell(seen, path, 'field-gone', { at: p.missing?.at ?? seen.now, count: missed }, missed, kindsOf(p))
}

function ofKind(p: Place, path: string, seen: Seen): void {
  const trial = p.present!.count
  const { stretch } = seen.shape
  for (const [kind, t] of p.kinds) {
    if (t.last === trial) {
      t.gone = false
      if (t.known || !isNew(t, trial, stretch)) continue
      const before = [...p.kinds].filter(([k, other]) => k !== 'null' && other.known)
      forget(t)
      const what = meaning(
        kind,
        before.map(([k]) => k),
      )
      if (what) tell(seen, path, what, t, trial - t.first + 1, named(before.map(([k]) => k)), kind)
    } else if (t.known && isGone(t, trial, stretch)) {
      t.gone = true
      replaced(p, kind, t, path, seen)
    }
  }
}

/** A kind came to those that were usual. */
function meaning(kind: Kind, before: readonly Kind[]): What | undefined {
  if (kind === 'null') return before.length > 0 ? 'null' : undefined
  // So far it was only ever null: what it is was not known.
  if (before.length === 0) return undefined
  if (!before.some((b) => sameType(b, kind))) return 'type'
  // Text that was always a date and now is not is news; among texts of all kinds it is not.
  const texts = before.filter(isText)
  return texts.length === 1 && texts[0] !== 'text' && !sameFormat(texts[0]!, kind) ? 'format' : undefined
}

/** Numbers as text: some have a fraction. */
function sameFormat(a: Kind, b: Kind): boolean {
  const numeric = (k: Kind): boolean => k === 'digits' || k === 'decimal'
  return a === b || (numeric(a) && numeric(b))
}

/** A kind that was usual has gone, while its field is still there. */
function replaced(p: Place, kind: Kind, gone: Tally, path: string, seen: Seen): void {
  if (kind === 'null') return
  const since = [...p.kinds].filter(([, t]) => t.last > gone.last)
  const missed = p.present!.count - gone.last
  const values = since.filter(([k]) => k !== 'null')
  const come = values.filter(([, t]) => !t.known)
  // Others that were usual beside it are still there: one of several kinds came to an end.
  if (values.length > come.length) return
  const tellOf = (what: What, now: string, at: number): void =>
    tell(seen, path, what, { at, count: missed }, missed, kind, now)
  if (values.length === 0) return tellOf('null-only', 'null', seen.now)
  for (const [, t] of come) forget(t)
  const names = come.map(([k]) => k)
  const at = Math.min(...come.map(([, t]) => t.at))
  if (!names.every((k) => sameType(k, kind))) tellOf('type', named(names), at)
  else if (kind !== 'text' && !names.every((k) => sameFormat(k, kind))) tellOf('format', named(names), at)
}

function words(p: Place, path: string, seen: Seen): void {
  const trial = p.present!.count
  for (const [word, t] of p.words ?? []) {
    if (t.known || t.last !== trial || !isNew(t, trial, seen.shape.stretch)) continue
    forget(t)
    tell(seen, path, 'value-new', t, trial - t.first + 1, undefined, word)
  }
}

/** It is usual from now on, and the time before it came says nothing about how often it comes. */
function forget(t: Tally): void {
  t.known = true
  t.base = t.first - 1
  t.gap = 0
}

function usual(p: Place): void {
  for (const t of [p.present, p.missing, ...p.kinds.values(), ...(p.words?.values() ?? [])]) if (t) t.known = true
}

function eachPlace(p: Place, see: (p: Place) => void): void {
  see(p)
  for (const inner of [...(p.fields?.values() ?? []), p.rest, p.items]) if (inner) eachPlace(inner, see)
}

function kindsOf(p: Place): string {
  return named([...p.kinds.keys()])
}

function named(list: readonly Kind[]): string {
  return [...list].sort().join(' or ')
}

function tell(
  { now: time, found }: Seen,
  path: string,
  what: What,
  { at: first, count }: Pick<Tally, 'at' | 'count'>,
  delay: number,
  before?: string,
  now?: string,
): void {
  const kinds = { ...(before ? { before } : {}), ...(now ? { now } : {}) }
  found.push({ path, what, severity: severities[what], ...kinds, first, time, count, delay })
}
