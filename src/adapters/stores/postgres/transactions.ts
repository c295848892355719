import type { Clock } from '#kernel/clock.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { Sql, SqlRow } from '#kernel/sql.ts'
import type { Outcome, StoreTransaction, Unit } from '../port.ts'
import { endsTransaction } from '../statement.ts'
import type { Connector } from './connect.ts'
import { escapedJson } from './encode.ts'
import { storeFault } from './errors.ts'
import { Lost, userTypes, type Session } from './session.ts'
import { Answers, unitJson, type JsonOutcome } from './units.ts'

/**
 * Interactive transactions of users, each on a connection of its own for as long as it is open, with the search path of
 * their role; at most as many at once as there may be connections. What the journal adds comes last, so that the locks
 * of a log are held only while its messages are appended, not while the user's code runs.
 */
export class Transactions {
  readonly #connector: Connector
  readonly #clock: Clock
  readonly #idle: Session[] = []
  readonly #waiting: ((ended?: Error) => void)[] = []
  #count = 0
  #seq = 0
  #closed = false
  #empty: (() => void)[] = []
  readonly #committed: () => void

  constructor(connector: Connector, clock: Clock, committed: () => void) {
    this.#connector = connector
    this.#clock = clock
    this.#committed = committed
  }

  async begin(limit: number): Promise<StoreTransaction> {
    if (this.#count >= this.#connector.settings.transactions)
      await new Promise<void>((resolve, reject) => this.#waiting.push((e) => (e ? reject(e) : resolve())))
    else this.#count++
    let session: Session
    try {
      session = await this.#begun(limit)
    } catch (e) {
      this.#free(undefined)
      throw storeFault(e)
    }
    return this.#transaction(session, limit)
  }

  /** A connection that was left lying may have been cut meanwhile: then another one. */
  async #begun(limit: number): Promise<Session> {
    for (const until = this.#clock.mono() + this.#connector.settings.patience; ;) {
      const session = this.#idle.pop() ?? (await this.#connector.connect('user', until))
      try {
        await session.query(`begin; set local statement_timeout = ${Math.max(1, Math.ceil(limit))}`)
        return session
      } catch (e) {
        if (!(e instanceof Lost)) throw e
      }
    }
  }

  #transaction(session: Session, limit: number): StoreTransaction {
    let open = true
    const end = (): void => {
      open = false
      cancel()
    }
    const undo = async (): Promise<void> => {
      if (!open) return
      end()
      await session.query('rollback').catch(() => session.close())
      this.#free(session)
    }
    const cancel = this.#clock.after(limit, () => void undo())
    const assertOpen = (): void => {
      if (!open)
        throw fault('store.transaction', {
          message: 'the transaction has ended: it ran longer than its limit, or was finished',
        })
    }
    return {
      query: async (statement) => {
        assertOpen()
        return user(session, statement)
      },
      commit: async (units) => {
        assertOpen()
        const seq = ++this.#seq
        try {
          const outcomes = await this.#apply(session, seq, units)
          if (!open) assertOpen()
          if (outcomes.some((o) => !o.ok)) {
            await undo()
            return outcomes
          }
          end()
          await session.query('commit')
          this.#free(session)
          this.#committed()
          return outcomes
        } catch (e) {
          if (e instanceof Lost) {
            end()
            this.#free(session)
            return await this.#happened(session.id, seq, units)
          }
          if (open) await undo()
          throw storeFault(e)
        }
      },
      rollback: undo,
    }
  }

  async #apply(session: Session, seq: number, units: readonly Unit[]): Promise<readonly Outcome[]> {
    const json = escapedJson(units.map((u) => unitJson(u, this.#clock.now())))
    const { schema } = this.#connector.settings
    // The path is ours from here on; the transaction ends with it.
    const path = session.query(`select set_config('search_path', $1, true)`, [`"${schema}"`], 'path')
    const [[[outcomes]]] = (await Promise.all([
      session.query(`select "${schema}".fl_commit($1, $2, $3, false, true)`, [session.id, seq, json], 'commit'),
      path,
    ])) as unknown as [[[readonly JsonOutcome[]]]]
    const answers = new Answers(units)
    answers.general(
      units.map((unit, index) => ({ index, unit })),
      outcomes,
    )
    return answers.outcomes
  }

  /** The connection was lost while it committed: the number that it left, or did not leave, tells. */
  async #happened(id: string, seq: number, units: readonly Unit[]): Promise<readonly Outcome[]> {
    const until = this.#clock.mono() + this.#connector.settings.patience
    let session: Session | undefined
    try {
      session = await this.#connector.connect('ours', until)
      await this.#connector.gone(session, id, until)
      const [row] = await session.query('select seq, outcome from fl_sessions where id = $1', [id])
      if (row?.[0] !== seq) throw undone()
      const answers = new Answers(units)
      answers.general(
        units.map((unit, index) => ({ index, unit })),
        row[1] as readonly JsonOutcome[],
      )
      this.#committed()
      return answers.outcomes
    } catch (e) {
      if (session === undefined && isFault(e, 'store.unreachable')) throw fault('store.unanswered', { cause: e })
      throw storeFault(e)
    } finally {
      await session?.close()
    }
  }

  #free(session: Session | undefined): void {
    if (session && !session.lost) {
      if (this.#closed) void session.close()
      else this.#idle.push(session)
    }
    const next = this.#waiting.shift()
    if (next) return next()
    if (--this.#count === 0) for (const resolve of this.#empty.splice(0)) resolve()
  }

  /** Waits for the open ones, at most their limits. */
  async close(): Promise<void> {
    this.#closed = true
    for (const refuse of this.#waiting.splice(0)) refuse(fault('store.closed'))
    if (this.#count > 0) await new Promise<void>((resolve) => this.#empty.push(resolve))
    for (const session of this.#idle.splice(0)) {
      await session
        .query(`delete from "${this.#connector.settings.schema}".fl_sessions where id = $1`, [session.id])
        .catch(() => {})
      await session.close()
    }
  }
}

function undone(): Error {
  return fault('store.unreachable', { message: 'the connection was lost, and the transaction rolled back' })
}

async function user(session: Session, statement: Sql): Promise<readonly SqlRow[]> {
  const text = statement.text.reduce(
    (sql, part, i) => `${sql}$${i}${statement.values[i - 1] instanceof Uint8Array ? '::bytea' : ''}${part}`,
  )
  if (endsTransaction.test(text))
    throw fault('store.sql', { message: 'the transaction is begun and ended by its owner, not by a statement' })
  try {
    const result = await session.run(text, statement.values.map(value), undefined, userTypes)
    return result.rows.map((row) =>
      Object.fromEntries(result.fields.map((f, i) => [f.name, row[i]])),
    ) as unknown as readonly SqlRow[]
  } catch (e) {
    if (e instanceof Lost) throw undone()
    throw fault('store.sql', { cause: e, message: e instanceof Error ? e.message : 'the statement failed' })
  }
}

function value(v: Sql['values'][number]): unknown {
  if (v instanceof Uint8Array) return Buffer.from(v.buffer, v.byteOffset, v.byteLength)
  return v === null || typeof v === 'string' ? v : String(v)
}
