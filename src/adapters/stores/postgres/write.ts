import type { Clock } from '#kernel/clock.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { Head, Outcome, Sync, Unit } from '../port.ts'
import type { Connector } from './connect.ts'
import { mayTryAgain, storeFault } from './errors.ts'
import { Link } from './link.ts'
import { found, recorded } from './lost.ts'
import { Lost, sqlState, type Row, type Session } from './session.ts'
import { statements, type Job, type Statement } from './statements.ts'
import type { Topics } from './topics.ts'
import { Answers, phases } from './units.ts'

/** A transaction that was in the way of another is tried again this often. */
const tries = 5
/** SQLSTATE of a statement behind one that failed in the same transaction. */
const behindAFailure = '25P02'

/**
 * The one connection on which this process commits, in the order of the calls. A commit is one statement wherever it can be
 * (one round trip, nothing to roll back), otherwise one pipelined transaction; the next is sent before the first is answered.
 *
 * When the connection is lost, nobody knows what of the statements under way has happened. The server is made to end what
 * that connection was doing, and then asked: appended messages are looked for by their ids, other writes by the number that
 * each commit leaves under its session. What happened is answered, what did not is done again; a cursor may move twice.
 */
export class Writer {
  readonly #connector: Connector
  readonly #clock: Clock
  readonly #topics: Topics
  readonly #committed: (heads: readonly Head[], look: boolean) => void
  readonly #link: Link
  /** Lost sessions and the server's word that it has ended them. */
  readonly #ended = new Map<string, Promise<void>>()
  #sent: Promise<void> = Promise.resolve()
  #general: Promise<unknown> = Promise.resolve()
  /** Jobs of which it is being found out whether they happened. */
  readonly #doubtful = new Set<Promise<unknown>>()
  #seq = 0
  #open = 0
  #idle: (() => void)[] = []

  /** `committed` is told which heads moved, and whether others have something to look at. */
  constructor(
    connector: Connector,
    clock: Clock,
    topics: Topics,
    committed: (heads: readonly Head[], look: boolean) => void,
  ) {
    this.#connector = connector
    this.#link = new Link(connector)
    this.#clock = clock
    this.#topics = topics
    this.#committed = committed
  }

  async commit(units: readonly Unit[], sync: Sync): Promise<readonly Outcome[]> {
    this.#open++
    const before = this.#sent
    let sent: () => void = () => {}
    this.#sent = new Promise((resolve) => (sent = resolve))
    try {
      await before
      // What was under way when a connection was lost goes first.
      while (this.#doubtful.size > 0) await Promise.all(this.#doubtful)
      if (!this.#topics.knows(units)) await this.#topics.refresh()
      const job: Job = { units, sync, phases: phases(units, (slot) => this.#topics.of(slot)), seq: ++this.#seq }
      // Of a session the server keeps one outcome: the next of the kind waits until this one is known.
      if (job.phases.some((p) => p.general.length > 0)) await this.#general
      const done = this.#run(job, sent)
      if (job.phases.some((p) => p.general.length > 0)) this.#general = done.catch(() => {})
      const outcomes = await done
      this.#tell(job)
      return outcomes
    } catch (e) {
      throw storeFault(e)
    } finally {
      sent()
      if (--this.#open === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  async #run(job: Job, sent: () => void): Promise<readonly Outcome[]> {
    const until = this.#clock.mono() + this.#connector.settings.patience
    for (let n = 1; ; n++) {
      const session = await this.#link.session(until)
      const answers = new Answers(job.units)
      try {
        const done = this.#send(session, job, answers)
        sent()
        await done
        return answers.outcomes
      } catch (e) {
        if (e instanceof Lost) {
          const happened = this.#happened(session.id, job, answers, until)
          if (await this.#doubting(happened)) return answers.outcomes
          if (this.#clock.mono() >= until) throw fault('store.unreachable', { cause: e })
        } else if (!mayTryAgain(e) || n >= tries) throw e
        // A server that has become a replica: another one takes writes now.
        if (sqlState(e) === '25006') await this.#link.close()
      }
    }
  }

  async #doubting(happened: Promise<boolean>): Promise<boolean> {
    const settled = happened.catch(() => {})
    this.#doubtful.add(settled)
    try {
      return await happened
    } finally {
      this.#doubtful.delete(settled)
    }
  }

  async #send(session: Session, job: Job, answers: Answers): Promise<void> {
    const parts = statements(session.id, job, answers, this.#clock.now())
    const run = (s: Statement): Promise<readonly Row[]> => session.query(s.text, s.values, s.name)
    if (parts.length === 1 && (job.sync === 'durable' || parts[0]!.relaxes)) {
      parts[0]!.answered(await run(parts[0]!.statement))
      return
    }
    if (parts.length === 0) return
    const all = [
      run({ text: 'begin' }),
      ...(job.sync === 'relaxed' ? [run({ text: 'set local synchronous_commit = off' })] : []),
      ...parts.map(async (p) => p.answered(await run(p.statement))),
      run({ text: 'commit' }),
    ]
    const results = await Promise.allSettled(all)
    const failures = results.filter((r) => r.status === 'rejected').map((r) => r.reason as unknown)
    const failure = failures.find((e) => sqlState(e) !== behindAFailure) ?? failures[0]
    if (failure !== undefined) throw failure
  }

  /**
   * Whether the job was committed by a session that was lost before it answered; fills in its answers. Rejects with
   * `store.unanswered` when that cannot be found out in time.
   */
  async #happened(id: string, job: Job, answers: Answers, until: number): Promise<boolean> {
    try {
      const session = await this.#link.session(Math.max(until, this.#clock.mono() + this.#connector.settings.patience))
      if (!this.#ended.has(id))
        this.#ended.set(id, this.#connector.gone(session, id, until + this.#connector.settings.patience))
      await this.#ended.get(id)
      if (job.phases.some((p) => p.general.length > 0)) return await recorded(session, id, job, answers)
      return await found(session, job, answers)
    } catch (e) {
      if (isFault(e, 'store.unreachable') || e instanceof Lost) throw fault('store.unanswered', { cause: e })
      throw e
    }
  }

  #tell(job: Job): void {
    const heads: Head[] = []
    for (const phase of job.phases) {
      for (const b of phase.batches) {
        this.#topics.moved(b.topic, b.next)
        b.counts.forEach((n, p) => n > 0 && heads.push({ slot: b.topic + p, next: b.next[p]! }))
      }
    }
    const look = job.phases.some((p) => p.general.some((g) => g.unit.writes.some((w) => seenByOthers.has(w.write))))
    if (heads.length > 0 || look) this.#committed(heads, look)
  }

  /** Resolves when every commit handed in so far is answered. */
  settled(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve))
  }

  async close(): Promise<void> {
    await this.settled()
    await this.#link.close((session) => session.query('delete from fl_sessions where id = $1', [session.id]))
  }
}

/** Writes after which other processes look around: an operator's word, a lease that is free, a new topic, delayed messages in the log. */
const seenByOthers: ReadonlySet<string> = new Set([
  'audit',
  'release',
  'gone',
  'topic',
  'subscription',
  'fire',
  'append',
])
