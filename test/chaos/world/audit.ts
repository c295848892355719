import { subscriptions } from './definitions.ts'
import type { Entry } from './client.ts'

export type EffectRow = { readonly sub: string; readonly u: string; readonly pid: number }
export type ParkedRow = {
  readonly subscription: string
  readonly u: string
  readonly state: string
  /** Code and message of the last fault. */
  readonly why?: string
}

/** What is known outside of the engine when all is quiet. */
export type Evidence = {
  readonly entries: Iterable<Entry>
  /** Rows that handlers wrote, in the order of their commits within a key. */
  readonly rows: readonly EffectRow[]
  /** What the outside API did: idempotency key → fact. */
  readonly charges: ReadonlyMap<string, string>
  readonly parked: readonly ParkedRow[]
}

export type Verdict = {
  /** Accepted, and not where it must be: done in every subscription, or dead in those that reject it. */
  readonly lost: readonly string[]
  /** An effect that happened twice: a row, a charge under another key. */
  readonly doubled: readonly string[]
  readonly disordered: readonly string[]
  /** Anything else that nobody can explain. */
  readonly strange: readonly string[]
}

/**
 * The books, from outside: what clients were told on one side, rows, charges and what the operator is shown on the
 * other. A late fact that nobody confirmed may have been accepted each time, because a delayed message is recognised
 * when it is due: it is judged like the others.
 */
export function audit({ entries, rows, charges, parked }: Evidence): Verdict {
  const lost: string[] = []
  const doubled: string[] = []
  const strange: string[] = []
  const all = new Map([...entries].map((e) => [e.fact.u, e]))
  const rowsOf = count(rows.map((r) => `${r.sub} ${r.u}`))
  const chargesOf = count(charges.values())
  const dead = new Map(parked.filter((p) => p.state === 'dead').map((p) => [`${p.subscription} ${p.u}`, p.why ?? '']))
  for (const { fact, accepted } of all.values()) {
    for (const sub of subscriptions) {
      const name = `${sub} ${fact.u}`
      const n = rowsOf.get(name) ?? 0
      if (n > 1) doubled.push(`${name}: ${n} rows`)
      const mayDie = fact.manner === 'dead' && sub !== 'follow'
      if (fact.manner === 'dead' && n > 0) strange.push(`${name} was rejected and has a row`)
      if (dead.has(name) && !mayDie) strange.push(`${name} is dead, nobody rejects it: ${dead.get(name)}`)
      if (!accepted) continue
      if (fact.manner !== 'dead' && n === 0) lost.push(`${name} was accepted, and is not done`)
      if (mayDie && !dead.has(name)) lost.push(`${name} was accepted, and is not parked`)
    }
    const n = chargesOf.get(fact.u) ?? 0
    if (n > 1) doubled.push(`${fact.u} was charged ${n} times`)
    if (n === 0 && (rowsOf.get(`calls ${fact.u}`) ?? 0) > 0) strange.push(`${fact.u} is done and was never charged`)
  }
  for (const u of new Set([...rows.map((r) => r.u), ...charges.values()]))
    if (!all.has(u)) strange.push(`${u} has effects, nobody handed it in`)
  for (const p of parked)
    if (p.state !== 'dead') strange.push(`${p.subscription} ${p.u} is still parked: ${p.state} ${p.why ?? ''}`)
  strange.push(...places(all.values()))
  return { lost, doubled, disordered: order(all, rows), strange }
}

/** Two facts never stand at one place. */
function places(entries: Iterable<Entry>): string[] {
  const at = new Map<string, string>()
  return [...entries].flatMap((e) => {
    if (e.at === undefined) return []
    const place = e.at.join('/')
    const other = at.get(place)
    at.set(place, e.fact.u)
    return other === undefined ? [] : [`${other} and ${e.fact.u} were both told to stand at ${place}`]
  })
}

/** Facts of a key are applied in the order of their places. What has no known place says nothing. */
function order(all: ReadonlyMap<string, Entry>, rows: readonly EffectRow[]): string[] {
  const last = new Map<string, { readonly offset: number; readonly u: string }>()
  return rows.flatMap((r) => {
    const entry = all.get(r.u)
    // What follows is published in the order of the rows, which is the same.
    if (entry?.at === undefined || entry.fact.key === null) return []
    const name = `${r.sub} ${entry.fact.key}`
    const before = last.get(name)
    const offset = entry.at[1]
    if (before === undefined || offset > before.offset) last.set(name, { offset, u: r.u })
    return before !== undefined && offset < before.offset ? [`${r.sub}: ${r.u} came after ${before.u}`] : []
  })
}

function count(names: Iterable<string>): Map<string, number> {
  const out = new Map<string, number>()
  for (const name of names) out.set(name, (out.get(name) ?? 0) + 1)
  return out
}
