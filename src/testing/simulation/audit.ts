import type { App } from '#app/fairlead.ts'
import { sql } from '#kernel/sql.ts'
import type { Coverage } from './coverage.ts'
import type { Data, Handlers } from './handlers.ts'
import { backoff, canary, timeout } from './handlers.ts'
import type { Fact, Ledger, Run } from './ledger.ts'
import { calmBut, type Swarm } from './swarm.ts'

type Shown = { readonly position: string; readonly id: string; readonly data: Data }

/**
 * The invariants, judged from outside when all is quiet: by what clients were told, what handlers saw, which rows are
 * there, and what the operations list. Knows nothing of how the engine keeps them.
 */
export async function audit(of: {
  readonly app: App
  readonly ledger: Ledger
  readonly handlers: Handlers
  readonly swarm: Swarm
  readonly coverage: Coverage
  readonly settled: <T>(p: Promise<T>) => Promise<T>
}): Promise<void> {
  const { app, ledger, handlers, swarm, coverage, settled } = of
  const subs: Readonly<Record<Fact['topic'], readonly string[]>> = {
    orders: swarm.batch > 0 ? ['main', 'batch'] : ['main'],
    out: ['follow'],
  }
  const listed = await settled(app.operations.parked({ limit: 1_000 }))
  const parked = new Map(listed.map((p) => [`${p.subscription} ${(p.data as Data).u}`, p.state]))
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
      if (fact.accepted)
        coverage.check(
          'I1',
          ok || parked.has(name) || ledger.discarded.has(name),
          () => `${name} was accepted, and is neither done nor parked nor discarded`,
        )
      effects(name, fact, sub, ok)
    }
  }
  for (const name of ledger.corrected)
    coverage.check(
      'I1',
      (runs.get(name) ?? []).some((r) => r.ok && r.edited) || parked.has(name) || ledger.discarded.has(name),
      () => `${name} was edited, and what it was edited to is neither done nor parked nor discarded`,
    )
  for (const run of ledger.runs) {
    const fact = ledger.facts.get(run.u)
    const handedIn = fact !== undefined && (fact.accepted || fact.unknown)
    coverage.check('I2', handedIn, () => `${run.sub} handled ${run.u}, which nobody handed in`)
  }
  if (!swarm.retention) {
    for (const topic of ['orders', 'out'] as const) log(topic)
    transactions()
  }
  for (const group of Map.groupBy(ledger.runs, (r) => `${r.sub} ${r.key}`).values()) order(group)
  // Where hours pass, what a handler publishes again is a new message.
  if (calmBut(swarm) && !swarm.retention) {
    repeats()
    if (swarm.operators === 0 && swarm.jump === 0) retries()
  }
  for (const p of listed)
    coverage.check(
      'I13',
      !JSON.stringify(p).includes(canary),
      () => `parked message ${p.parked} shows a secret that a handler has thrown`,
    )

  /** Rows written through ctx.tx once, messages published with them once, with an id of the handler's once. */
  function effects(name: string, fact: Fact, sub: string, ok: boolean): void {
    const plan = handlers.plan(sub, fact.u)
    const count = rowsOf.get(name)?.length ?? 0
    const touched = ledger.discarded.has(name) || ledger.edited.has(name)
    coverage.check('I3', count <= 1, () => `${name} has ${count} rows`)
    if (!touched && ok && plan.effect.startsWith('row'))
      coverage.check(
        'I3',
        count === (parked.has(name) ? 0 : 1),
        () => `${name} is ${parked.get(name) ?? 'done'} and has ${count} rows`,
      )
    if (swarm.retention) return
    const made = `${fact.u}>${sub}`
    const published = logs.out.filter((m) => m.data.u === made).length
    if (sub === 'main' && !touched)
      coverage.check('I3', published <= 1, () => `${made} is in the log ${published} times`)
    if (plan.effect.startsWith('row-') && !touched)
      coverage.check(
        'I7',
        published === count,
        () => `${made} is in the log ${published} times, its row ${count} times`,
      )
    if (plan.effect === 'publish' && !touched && ok && !parked.has(name))
      coverage.check('I3', published > 0, () => `${name} is done, what it published is not in the log`)
  }

  /** Offsets without gaps, a message stays where its publisher was told, an id is there once, what was handled stays. */
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
      const whole = list.every((o, i) => o === i)
      coverage.check('I6', whole, () => `partition ${topic}/${partition} has offsets ${list.join()}`)
    }
    for (const fact of ledger.facts.values()) {
      if (fact.topic !== topic) continue
      const n = times.get(fact.u) ?? 0
      if (topic === 'orders') coverage.check('I11', n <= 1, () => `${fact.u} is in the log ${n} times`)
      if (fact.accepted) coverage.check('I1', n > 0, () => `${fact.u} was accepted and is not in the log`)
      const { position } = fact
      if (position !== undefined && !fact.u.endsWith('>batch'))
        coverage.check(
          'I6',
          at.get(position) === fact.u,
          () => `${fact.u} was told to stand at ${position}, there is ${at.get(position)}`,
        )
    }
    for (const run of ledger.runs)
      if (subs[topic].includes(run.sub))
        coverage.check('I6', times.has(run.u), () => `${run.sub} handled ${run.u}, which is not in the log`)
  }

  /** A client's row and its message: both or neither. */
  function transactions(): void {
    const rowed = new Set(clients.map((c) => String(c['u'])))
    for (const fact of ledger.facts.values()) {
      if (!fact.row || fact.topic !== 'orders') continue
      const there = logs.orders.some((m) => m.data.u === fact.u)
      const both = rowed.has(fact.u) === there
      coverage.check(
        'I7',
        both,
        () => `${fact.u}: its message is ${there ? 'there, its row is not' : 'missing, its row is there'}`,
      )
    }
  }

  /** The first success of a later message of a key comes after the first success of an earlier one. */
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
      const before = last
      if (before)
        coverage.check('I4', first >= before.at, () => `${sub} handled ${u} before ${before.u}, both of ${key}`)
      const any = mine.length > 0 ? Math.min(...mine.map((r) => r.endOrder)) : Number.POSITIVE_INFINITY
      if (last === undefined || any > last.at) last = { u, at: any }
    }
  }

  /** Only processes have ended in this seed: what had ended well before runs once. */
  function repeats(): void {
    for (const [name, list] of runs) {
      // What a batch, or an edited message, has published again are new messages.
      const by = /^follow (\S+)>(\S+)$/.exec(name)
      if (by && (by[2] === 'batch' || ledger.edited.has(`${by[2]} ${by[1]}`))) continue
      const good = list.filter((r) => r.ok && known(r))
      const plan = handlers.plan(list[0]!.sub, list[0]!.u)
      // With a transaction, the end of the handler is not the end of the run.
      if (plan.effect.startsWith('row') || ledger.edited.has(name)) continue
      coverage.check('I17', good.length <= 1, () => `${name} was handled ${good.length} times`)
    }
  }

  /** After a failure a message waits, and only so often. */
  function retries(): void {
    for (const [name, list] of runs) {
      const { sub, u } = list[0]!
      // In a batch one fails for all; what a batch has published again are new messages.
      if (sub === 'batch' || u.endsWith('>batch')) continue
      const failed = list.filter((r) => !r.ok && known(r) && r.how !== 'connection.breaker_open')
      coverage.check('I10', failed.length <= swarm.attempts, () => `${name} has failed ${failed.length} times`)
      for (const [i, r] of list.entries()) {
        const next = list[i + 1]
        if (next && failed.includes(r))
          coverage.check(
            'I10',
            next.began >= r.ended! + backoff,
            () => `${name} runs again ${next.began - r.ended!} ms after it had failed`,
          )
      }
    }
  }
}

/** Ended in time, and well before its process did: the engine knows. */
function known(r: Run): boolean {
  return r.ended !== undefined && r.ended - r.began < timeout && r.ended < r.process.gone
}
