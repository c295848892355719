import type { App } from '#app/fairlead.ts'
import { sql } from '#kernel/sql.ts'
import type { Data, Handlers } from './handlers.ts'
import { timeout } from './handlers.ts'
import type { Fact, Ledger, Run } from './ledger.ts'
import { calmBut, type Swarm } from './swarm.ts'

type Shown = { readonly position: string; readonly id: string; readonly data: Data }

/**
 * The laws, judged from outside when all is quiet: by what clients were told, what handlers saw, which rows are there, and
 * what the operations list. Knows nothing of how the engine keeps them.
 */
export async function audit(of: {
  readonly app: App
  readonly ledger: Ledger
  readonly handlers: Handlers
  readonly swarm: Swarm
  readonly settled: <T>(p: Promise<T>) => Promise<T>
}): Promise<readonly string[]> {
  const { app, ledger, handlers, swarm, settled } = of
  const broken: string[] = []
  const subs: Readonly<Record<Fact['topic'], readonly string[]>> = {
    orders: swarm.batch > 0 ? ['main', 'batch'] : ['main'],
    out: ['follow'],
  }
  const parked = new Map(
    (await settled(app.operations.parked({ limit: 1_000 }))).map((p) => [
      `${p.subscription} ${(p.data as Data).u}`,
      p.state,
    ]),
  )
  const rows = await settled(app.transact((tx) => tx.query(sql`select sub, u from mine`)))
  const clients = await settled(app.transact((tx) => tx.query(sql`select u from clients`)))
  const logs: Record<Fact['topic'], readonly Shown[]> = {
    orders: (await settled(app.operations.messages({ topic: 'orders', limit: 1_000 }))) as readonly Shown[],
    out: (await settled(app.operations.messages({ topic: 'out', limit: 1_000 }))) as readonly Shown[],
  }
  const runs = Map.groupBy(ledger.runs, (r) => `${r.sub} ${r.u}`)
  const rowsOf = Map.groupBy(rows, (r) => `${String(r['sub'])} ${String(r['u'])}`)

  for (const fact of ledger.facts.values()) {
    for (const sub of subs[fact.topic]) {
      const name = `${sub} ${fact.u}`
      const ok = (runs.get(name) ?? []).some((r) => r.ok)
      if (fact.accepted && !ok && !parked.has(name) && !ledger.discarded.has(name))
        broken.push(`L1: ${name} was accepted, and is neither done nor parked nor discarded`)
      effects(name, fact, sub, ok)
    }
  }
  for (const run of ledger.runs) {
    const fact = ledger.facts.get(run.u)
    if (!fact || (!fact.accepted && !fact.unknown))
      broken.push(`L2: ${run.sub} handled ${run.u}, which nobody handed in`)
  }
  for (const topic of ['orders', 'out'] as const) if (!swarm.retention) log(topic)
  for (const u of clients.map((c) => String(c['u']))) {
    if (!swarm.retention && !logs.orders.some((m) => m.data.u === u))
      broken.push(`L3: the row of ${u} is there, its message is not`)
  }
  for (const group of Map.groupBy(ledger.runs, (r) => `${r.sub} ${r.key}`).values()) order(group)
  // Where hours pass, what a handler publishes again is a new message.
  if (calmBut(swarm) && !swarm.retention) repeats()
  return broken

  /** L3: rows written through ctx.tx once, messages published with them once, with an id of the handler's once. */
  function effects(name: string, fact: Fact, sub: string, ok: boolean): void {
    const plan = handlers.plan(sub, fact.u)
    const count = rowsOf.get(name)?.length ?? 0
    const touched = ledger.discarded.has(name) || ledger.edited.has(name)
    if (count > 1) broken.push(`L3: ${name} has ${count} rows`)
    if (!touched && ok && plan.effect.startsWith('row') && count !== (parked.has(name) ? 0 : 1))
      broken.push(`L3: ${name} is ${parked.get(name) ?? 'done'} and has ${count} rows`)
    if (swarm.retention) return
    const made = `${fact.u}>${sub}`
    const published = logs.out.filter((m) => m.data.u === made).length
    if (sub === 'main' && !touched && published > 1) broken.push(`L3: ${made} is in the log ${published} times`)
    if (plan.effect.startsWith('row-') && !touched && published !== count)
      broken.push(`L3: ${made} is in the log ${published} times, its row ${count} times`)
    if (plan.effect === 'publish' && !touched && ok && !parked.has(name) && published === 0)
      broken.push(`L3: ${name} is done, what it published is not in the log`)
  }

  /** L6: offsets without gaps, a message stays where its publisher was told, an id is there once. */
  function log(topic: Fact['topic']): void {
    const offsets = new Map<string, number[]>()
    const at = new Map<string, string>()
    const times = new Map<string, number>()
    for (const m of logs[topic]) {
      const [, partition, offset] = m.position.split('/')
      offsets.set(partition!, [...(offsets.get(partition!) ?? []), Number(offset)])
      at.set(m.position, m.data.u)
      times.set(m.data.u, (times.get(m.data.u) ?? 0) + 1)
    }
    for (const [partition, list] of offsets) {
      list.sort((a, b) => a - b)
      if (list.some((o, i) => o !== i)) broken.push(`L6: partition ${topic}/${partition} has offsets ${list.join()}`)
    }
    for (const fact of ledger.facts.values()) {
      if (fact.topic !== topic) continue
      const n = times.get(fact.u) ?? 0
      if (n > 1 && topic === 'orders') broken.push(`L3: ${fact.u} is in the log ${n} times`)
      if (fact.accepted && n === 0) broken.push(`L1: ${fact.u} was accepted and is not in the log`)
      if (fact.position !== undefined && at.get(fact.position) !== fact.u && !fact.u.endsWith('>batch'))
        broken.push(`L6: ${fact.u} was told to stand at ${fact.position}, there is ${at.get(fact.position)}`)
    }
  }

  /** L4: the first success of a later message of a key comes after the first success of an earlier one. */
  function order(group: readonly Run[]): void {
    const { sub, key } = group[0]!
    if (key === null || swarm.retention) return
    const topic = sub === 'follow' ? 'out' : 'orders'
    const line = logs[topic]
      .filter((m) => m.data.k === key)
      .map((m) => ({ u: m.data.u, offset: Number(m.position.split('/')[2]) }))
      .sort((a, b) => a.offset - b.offset)
    let last: { u: string; at: number } | undefined
    // What a batch has published again stands in the log twice: its first place counts.
    for (const u of new Set(line.map((m) => m.u))) {
      const name = `${sub} ${u}`
      if (ledger.edited.has(name) || ledger.discarded.has(name)) continue
      const mine = group.filter((r) => r.u === u && r.ok)
      // Of a success that came too late the engine may know nothing.
      const sure = mine.filter((r) => r.ended! - r.began < timeout)
      const first = Math.min(...sure.map((r) => r.endOrder))
      if (last && first < last.at) broken.push(`L4: ${sub} handled ${u} before ${last.u}, both of ${key}`)
      const any = mine.length > 0 ? Math.min(...mine.map((r) => r.endOrder)) : Number.POSITIVE_INFINITY
      if (last === undefined || any > last.at) last = { u, at: any }
    }
  }

  /** L9: only processes have ended in this seed: what had ended well before runs once. */
  function repeats(): void {
    for (const [name, list] of runs) {
      // What a batch, or an edited message, has published again are new messages.
      const by = /^follow (\S+)>(\S+)$/.exec(name)
      if (by && (by[2] === 'batch' || ledger.edited.has(`${by[2]} ${by[1]}`))) continue
      const good = list.filter((r) => r.ok && r.ended! - r.began < timeout && r.ended! < r.process.gone)
      const plan = handlers.plan(list[0]!.sub, list[0]!.u)
      // With a transaction, the end of the handler is not the end of the run.
      if (good.length > 1 && !plan.effect.startsWith('row') && !ledger.edited.has(name))
        broken.push(`L9: ${name} was handled ${good.length} times`)
    }
  }
}
