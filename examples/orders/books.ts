import type { Effect } from './apis/api.ts'
import type { EngineReport, ParkedReport } from './engine-report.ts'
import type { Manner } from './plan.ts'
import { duties, type Duty } from './rules.ts'
import type { Told } from './sender.ts'

export type Evidence = {
  /** How many requests were planned: each must have an answer. */
  readonly planned: number
  /** What the sender was told, in the order in which it was told. */
  readonly told: readonly Told[]
  /** The stand-ins' ledgers, in the order in which the effects took place. */
  readonly effects: readonly Effect[]
  readonly engine: EngineReport
  /** Every message that is parked at the end. */
  readonly parked: readonly ParkedReport[]
}

export type Books = {
  readonly sent: readonly SentRow[]
  readonly refused: readonly RefusedRow[]
  readonly work: readonly WorkRow[]
  readonly effects: readonly EffectRow[]
  /** Everything that does not add up, a sentence each. Empty: the books balance. */
  readonly problems: readonly string[]
}

export type SentRow = {
  readonly what: string
  readonly requests: number
  readonly accepted: number
  readonly duplicate: number
  readonly refused: number
  readonly unanswered: number
  /** Requests that needed more than one attempt. */
  readonly retried: number
}
export type RefusedRow = { readonly manner: Manner; readonly requests: number; readonly answers: readonly string[] }
export type WorkRow = {
  readonly subscription: string
  readonly messages: number
  readonly done: number
  readonly dead: number
  readonly behind: number
  readonly unfinished: number
  readonly reasons: readonly string[]
}
export type EffectRow = {
  readonly effect: string
  readonly expected: number
  readonly once: number
  readonly missing: number
  readonly repeated: number
  readonly unexpected: number
}

/**
 * How each wrong request must be refused. A refusal for another reason is as unexplained as none. Everything about a
 * signature has one answer, on purpose: a forger learns nothing from it. Shopify asks for 401.
 */
function reasonFor({ manner, provider }: Told['planned']): string | undefined {
  switch (manner) {
    case 'first':
    case 'again':
      return undefined
    case 'wrong-secret':
    case 'flipped-byte':
    case 'unsigned':
    case 'stale':
      return provider === 'shopify' ? '401 webhook.unauthorized' : '400 webhook.refused'
    case 'truncated':
    case 'not-utf8':
      return '400 input.json'
    case 'prototype':
      return '400 input.prototype'
    case 'oversized':
      return '413 input.too_large'
    default:
      return '404 input.not_found'
  }
}

/**
 * The audit, double-entry: what the sender was told on one side, what the others' ledgers and the engine say on the
 * other. Pure. It does not look at how the engine works, only at what came in, what came out and what it admits to hold.
 */
export function audit(evidence: Evidence): Books {
  // A repetition may overtake the first attempt: whichever was accepted, the bytes are the same.
  const events = evidence.told.filter(
    (t) => t.outcome === 'accepted' && (t.planned.manner === 'first' || t.planned.manner === 'again'),
  )
  const owed = behindTheDead(events.flatMap((t) => duties(t.planned.provider, t.planned.type, t.planned.body)))
  const work = workRows(owed, evidence)
  const effects = effectRows(owed, evidence.effects)
  return {
    sent: sentRows(evidence.told),
    refused: refusedRows(evidence.told),
    work: work.rows,
    effects: effects.rows,
    problems: [
      ...answered(evidence),
      ...kept(events, evidence.engine),
      ...work.problems,
      ...effects.problems,
      ...inOrder(owed, evidence.effects),
    ],
  }
}

type Owed = Duty & { readonly state: 'done' | 'dead' | 'behind' }

/** Order per key: what comes after a dead message of its key waits for a person, with it. */
function behindTheDead(list: readonly Duty[]): Owed[] {
  const blocked = new Set<string>()
  return list.map((duty) => {
    const key = `${duty.subscription} ${duty.key}`
    if (blocked.has(key)) return { ...duty, effects: [], state: 'behind' }
    if (duty.dead === undefined) return { ...duty, state: 'done' }
    blocked.add(key)
    return { ...duty, state: 'dead' }
  })
}

/** Every request has one answer, and the one it deserves. */
function answered({ planned, told }: Evidence): string[] {
  const problems: string[] = []
  if (told.length !== planned) problems.push(`${planned} requests were planned, ${told.length} have an outcome`)
  for (const { planned: p, outcome, status, code } of told) {
    const what = `${p.manner} ${p.provider} ${p.type} ${p.id}`
    const reason = reasonFor(p)
    if (outcome === 'unanswered') problems.push(`${what}: never answered`)
    else if (reason === undefined) {
      if (outcome === 'refused') problems.push(`${what}: refused with ${status} ${code}, it was correct`)
    } else if (outcome !== 'refused') problems.push(`${what}: accepted, it should have been refused`)
    else if (`${status} ${code}` !== reason) problems.push(`${what}: refused as ${status} ${code}, not as ${reason}`)
  }
  const events = new Set(told.filter((t) => t.planned.manner === 'first').map((t) => idOf(t)))
  const counts = tally(told.filter((t) => t.outcome === 'accepted').map(idOf))
  for (const id of events) if (counts.get(id) !== 1) problems.push(`${id}: accepted ${counts.get(id) ?? 0} times`)
  return problems
}

/** Every accepted event lies in the inbox of its webhook, once. */
function kept(events: readonly Told[], engine: EngineReport): string[] {
  return [...group(events, (t) => t.planned.provider)].flatMap(([provider, list]) => {
    const messages = engine.topics.find((t) => t.name === `webhook.${provider}`)?.messages ?? 0
    if (messages === list.length) return []
    return [`webhook.${provider}: ${list.length} events were accepted, its inbox holds ${messages}`]
  })
}

/** Every message of every subscription is done or parked, with the reason it should have. */
function workRows(owed: readonly Owed[], { engine, parked }: Evidence): { rows: WorkRow[]; problems: string[] } {
  const problems: string[] = []
  const owing = group(owed, (o) => o.subscription)
  // Also those to which nothing is owed: they must hold nothing.
  for (const { name } of [...engine.subscriptions, ...parked.map((p) => ({ name: p.subscription }))]) {
    if (!owing.has(name)) owing.set(name, [])
  }
  const rows = [...owing].map(([name, list]): WorkRow => {
    const state = engine.subscriptions.find((s) => s.name === name)
    const topic = list[0]?.topic ?? state?.topic ?? ''
    const messages = engine.topics.find((t) => t.name === topic)?.messages ?? 0
    // A subscription to which nothing is owed (the routing of an inbox) has only to be finished.
    if (list.length > 0 && messages !== list.length)
      problems.push(`${topic}: ${list.length} messages were accepted, it holds ${messages}`)
    if (!state) problems.push(`${name}: the engine does not report this subscription`)
    const { lag = 0, parked: counts = { retry: 0, held: 0, behind: 0, dead: 0 } } = state ?? {}
    const unfinished = lag + counts.retry + counts.held
    if (unfinished > 0) problems.push(`${name}: ${unfinished} messages are neither done nor parked for a person`)
    const mine = parked.filter((p) => p.subscription === name)
    problems.push(...compare(name, 'dead', deadOf(list), mine), ...compare(name, 'behind', behindOf(list), mine))
    for (const p of mine) if (p.state === 'dead' && !p.message) problems.push(`${name} ${p.key}: dead without a reason`)
    const done = messages - unfinished - counts.dead - counts.behind
    const reasons = [...tally(mine.filter((p) => p.state === 'dead').map((p) => p.code))]
    return {
      subscription: name,
      messages,
      done,
      dead: counts.dead,
      behind: counts.behind,
      unfinished,
      reasons: reasons.map(([code, n]) => `${n} × ${code}`),
    }
  })
  return { rows, problems }
}

const deadOf = (list: readonly Owed[]): string[] =>
  list.filter((o) => o.state === 'dead').map((o) => `${o.key} ${o.dead}`)
const behindOf = (list: readonly Owed[]): string[] => list.filter((o) => o.state === 'behind').map((o) => o.key)

function compare(name: string, state: 'dead' | 'behind', wanted: string[], parked: readonly ParkedReport[]): string[] {
  const found = parked.filter((p) => p.state === state).map((p) => (state === 'dead' ? `${p.key} ${p.code}` : p.key))
  const [want, have] = [tally(wanted), tally(found)]
  return [...new Set([...want.keys(), ...have.keys()])]
    .filter((key) => want.get(key) !== have.get(key))
    .map((key) => `${name} ${key}: ${state} ${have.get(key) ?? 0} times, expected ${want.get(key) ?? 0}`)
}

/** Every effect exactly once: none missing, none twice, none that nobody asked for. */
function effectRows(owed: readonly Owed[], ledger: readonly Effect[]): { rows: EffectRow[]; problems: string[] } {
  // Several events may ask for one effect: each order of a customer states the same contact.
  const wanted = new Set(owed.flatMap((o) => o.effects).map(nameOf))
  const happened = tally(ledger.map(nameOf))
  const problems: string[] = []
  const rows = [...group([...new Set([...wanted, ...happened.keys()])], kindOf)].map(([effect, names]): EffectRow => {
    const count = { expected: 0, once: 0, missing: 0, repeated: 0, unexpected: 0 }
    for (const name of names) {
      const n = happened.get(name) ?? 0
      if (wanted.has(name)) count.expected++
      const verdict = !wanted.has(name) ? 'unexpected' : n === 0 ? 'missing' : n === 1 ? 'once' : 'repeated'
      count[verdict]++
      if (verdict !== 'once') problems.push(`${name}: ${verdict === 'missing' ? 'missing' : `${verdict}, ${n} times`}`)
    }
    return { effect, ...count }
  })
  return { rows: rows.sort((a, b) => a.effect.localeCompare(b.effect)), problems }
}

/** The notes of a channel reached the CRM in the order in which they were accepted. */
function inOrder(owed: readonly Owed[], ledger: readonly Effect[]): string[] {
  const rank = new Map(owed.flatMap((o) => o.effects).map((e, i) => [nameOf(e), i]))
  const last = new Map<string, number>()
  return ledger.flatMap((effect) => {
    // Issues come over parallel connections: the order in which they were accepted is known to the engine only.
    if (effect.lane === undefined || effect.lane === 'github') return []
    const now = rank.get(nameOf(effect)) ?? -1
    const before = last.get(effect.lane) ?? -1
    last.set(effect.lane, Math.max(now, before))
    return now < before ? [`${nameOf(effect)}: overtaken by a later one of ${effect.lane}`] : []
  })
}

function sentRows(told: readonly Told[]): SentRow[] {
  const rows = [...group(told, (t) => `${t.planned.provider} ${t.planned.type}`)].map(([what, list]) => row(what, list))
  return [...rows.sort((a, b) => a.what.localeCompare(b.what)), row('total', told)]
}

function row(what: string, list: readonly Told[]): SentRow {
  const n = (outcome: Told['outcome']): number => list.filter((t) => t.outcome === outcome).length
  return {
    what,
    requests: list.length,
    accepted: n('accepted'),
    duplicate: n('duplicate'),
    refused: n('refused'),
    unanswered: n('unanswered'),
    retried: list.filter((t) => t.attempts > 1).length,
  }
}

function refusedRows(told: readonly Told[]): RefusedRow[] {
  const wrong = told.filter((t) => t.planned.manner !== 'first' && t.planned.manner !== 'again')
  return [...group(wrong, (t) => t.planned.manner)].map(([manner, list]) => ({
    manner,
    requests: list.length,
    answers: [...tally(list.map((t) => `${t.status} ${t.code}`))].map(([answer, n]) => `${n} × ${answer}`),
  }))
}

const idOf = (t: Told): string => `${t.planned.provider} ${t.planned.id}`
const nameOf = (e: Effect): string => `${e.api} ${e.effect} ${e.key}`
const kindOf = (name: string): string => name.split(' ').slice(0, 2).join(' ')

function tally<T>(list: readonly T[]): Map<T, number> {
  const out = new Map<T, number>()
  for (const item of list) out.set(item, (out.get(item) ?? 0) + 1)
  return out
}

function group<T, K>(list: readonly T[], by: (item: T) => K): Map<K, T[]> {
  const out = new Map<K, T[]>()
  for (const item of list) {
    const key = by(item)
    const bucket = out.get(key)
    if (bucket) bucket.push(item)
    else out.set(key, [item])
  }
  return out
}
