import { Buffer } from 'node:buffer'
import { unescapeText } from './encode.ts'

/** What we use of `pg` (node-postgres). Structural, so that our declarations need none of its types. */
export interface PgClient {
  connect(): Promise<unknown>
  end(): Promise<void>
  query(query: PgQuery): Promise<PgResult>
  on(event: 'error' | 'end', listener: (e?: Error) => void): unknown
  on(event: 'notification', listener: (n: PgNotification) => void): unknown
  readonly processID: number | null
  readonly connection: { readonly stream: { destroy(): void } }
}
export type PgClientClass = new (config: Readonly<Record<string, unknown>>) => PgClient
export type PgNotification = { readonly processId: number; readonly channel: string; readonly payload?: string }
type PgQuery = {
  readonly text: string
  readonly name?: string
  readonly values?: readonly unknown[]
  readonly rowMode: 'array'
  readonly types: { getTypeParser(oid: number): (value: string) => unknown }
}
type PgResult = { readonly rows: Row[]; readonly rowCount: number | null; readonly fields: readonly { name: string }[] }
export type Row = readonly unknown[]

/** The connection is gone: whether what was under way has happened, nobody here knows. */
export class Lost extends Error {
  constructor(cause: unknown) {
    super('the connection to PostgreSQL is gone', { cause })
  }
}

/** After this much silence in the middle of a statement we ask on another connection whether the server is at work on it. */
const askAfter = 2_000

/**
 * One connection. Statements are pipelined: each is sent at once and the server answers in order. After a loss every answer
 * still open is `Lost`; so is a connection on which the server, asked otherwise, is not at work (a cable that was pulled
 * sends no word).
 */
export class Session {
  /** Unique: the name under which the server lists the connection, and keeps the outcome of its last commit. */
  readonly id: string
  readonly #client: PgClient
  #lost: Lost | undefined
  /** When the oldest unanswered statement was sent, for each of them. */
  #sent: number[] = []
  #watchdog: NodeJS.Timeout | undefined
  #asking = false
  /** Whether the server is at work for this session; rejects when it cannot be asked. */
  isAtWork: () => Promise<boolean> = () => Promise.resolve(true)
  onNotification: (n: PgNotification) => void = () => {}
  onLost: () => void = () => {}

  /** `client` is connected. */
  constructor(client: PgClient, id: string) {
    this.#client = client
    this.id = id
    client.on('error', (e) => this.#lose(e))
    client.on('end', () => this.#lose(undefined))
    client.on('notification', (n) => this.onNotification(n))
  }

  get lost(): boolean {
    return this.#lost !== undefined
  }

  get pid(): number {
    return this.#client.processID ?? 0
  }

  /** Rejects with `Lost`, or with what the server said (`code` is its SQLSTATE). `name`: prepared once under it. */
  async query(text: string, values?: readonly unknown[], name?: string): Promise<readonly Row[]> {
    return (await this.run(text, values, name, types)).rows
  }

  async run(
    text: string,
    values: readonly unknown[] | undefined,
    name: string | undefined,
    parsers: PgQuery['types'],
  ): Promise<PgResult> {
    if (this.#lost) throw this.#lost
    this.#sent.push(performance.now())
    this.#watchdog ??= setInterval(() => this.#watch(), 1_000).unref()
    try {
      const query = { text, rowMode: 'array' as const, types: parsers }
      return await this.#client.query({ ...query, ...(name && { name }), ...(values && { values }) })
    } catch (e) {
      // A socket that failed has said so as an event before.
      if (ends.test(sqlState(e) ?? '')) this.#lose(e)
      throw this.#lost ?? e
    } finally {
      this.#sent.shift()
    }
  }

  #watch(): void {
    const oldest = this.#sent[0]
    if (this.#asking || oldest === undefined || performance.now() - oldest < askAfter) return
    this.#asking = true
    this.isAtWork()
      .then(
        (working) => {
          // Answered meanwhile: what we asked about is over.
          if (!working && this.#sent[0] === oldest) this.#lose(new Error('the server is not at work on what was sent'))
        },
        (e: unknown) => this.#sent[0] === oldest && this.#lose(e),
      )
      .finally(() => (this.#asking = false))
  }

  #lose(cause: unknown): void {
    if (this.#lost) return
    this.#lost = new Lost(cause)
    clearInterval(this.#watchdog)
    this.#client.connection.stream.destroy()
    this.onLost()
  }

  async close(): Promise<void> {
    clearInterval(this.#watchdog)
    if (this.#lost) return
    this.#lost = new Lost('closed')
    await this.#client.end().catch(() => {})
  }
}

/** Class 08: connection; 57P: the server ends it. */
const ends = /^(?:08|57P)/

export function sqlState(e: unknown): string | undefined {
  const code = (e as { code?: unknown } | undefined)?.code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

const text = (v: string): string => unescapeText(v)
const json = (v: string): unknown => JSON.parse(v)
/** `{1,NULL,3}`, `{t,f}`: arrays of numbers and booleans. */
const list = (v: string): unknown =>
  JSON.parse(`[${v.slice(1, -1).replace(/NULL|[tf]/g, (w) => ({ NULL: 'null', t: 'true', f: 'false' })[w]!)}]`)
const bytes = (v: string): Buffer => Buffer.from(v.slice(2), 'hex')
const as: Readonly<Record<number, (v: string) => unknown>> = {
  16: (v) => v === 't',
  17: bytes,
  20: Number,
  21: Number,
  23: Number,
  25: text,
  700: Number,
  701: Number,
  3802: json,
  1000: list,
  1007: list,
  1016: list,
}
const types = { getTypeParser: (oid: number) => as[oid] ?? ((v: string) => v) }

/** For a user's own rows: whole numbers beyond 2^53 as bigint; what has no JavaScript type (numeric, dates, JSON) as PostgreSQL's text. */
export const userTypes: PgQuery['types'] = {
  getTypeParser: (oid) =>
    oid === 20
      ? (v) => (Number.isSafeInteger(Number(v)) ? Number(v) : BigInt(v))
      : oid === 25 || oid === 3802
        ? (v) => v
        : (as[oid] ?? ((v) => v)),
}
