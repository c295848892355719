import { checkOptions, type Problem } from '#kernel/definition.ts'
import { milliseconds, type Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'

export type PostgresOptions = {
  /**
   * Schema that holds everything of this store, made if it is absent; default `fairlead`. Several stores live in one
   * database under schemas of their own (a tenant each). At most 40 of `a-z`, `0-9`, `_`, beginning with a letter.
   */
  readonly schema?: string
  /** How long the server may work on one statement of ours. Default 30 s, 1 s to 10 min. */
  readonly statementTimeout?: Duration
  /**
   * How long work waits for a server that is away (a restart, a failover) before it is refused with `store.unreachable`.
   * Default 10 s, at most 5 min.
   */
  readonly patience?: Duration
  /** Transactions of users (`transact`, `ctx.tx`) at once, each on a connection of its own; more wait. Default 8, 1 to 100. */
  readonly transactions?: number
  /** TLS as Node's `tls.connect` takes it (`ca`, `cert`, `key`). Certificates are checked. Default: as the URL says. */
  readonly ssl?: Readonly<Record<string, unknown>>
}

export type Settings = {
  readonly urls: readonly string[]
  readonly schema: string
  readonly statementTimeout: number
  readonly patience: number
  readonly transactions: number
  readonly ssl: Readonly<Record<string, unknown>> | undefined
}

const known = ['schema', 'statementTimeout', 'patience', 'transactions', 'ssl']

/** Checks everything at once, before anything is opened: `config.option` with every problem. */
export function settings(url: string | readonly string[], options: PostgresOptions): Settings {
  const urls = typeof url === 'string' ? [url] : [...url]
  const problems: Problem[] = [...checkOptions('postgres', options, known)]
  const wrong = (path: string, message: string, fix: string): void => void problems.push({ path, message, fix })
  if (urls.length === 0) wrong('postgres.url', 'is empty', 'pass postgres://user:password@host/database')
  for (const u of urls)
    if (!isUrl(u)) wrong('postgres.url', 'is not a PostgreSQL URL', 'write postgres://user:password@host:5432/database')
  const schema = options.schema ?? 'fairlead'
  if (!/^[a-z][a-z0-9_]{0,39}$/.test(schema) || schema.startsWith('pg_'))
    wrong(
      'postgres.schema',
      `"${schema}" cannot be a schema`,
      'use at most 40 of a-z, 0-9 and _, beginning with a letter',
    )
  const span = (name: 'statementTimeout' | 'patience', otherwise: Duration, least: number, most: number): number => {
    try {
      const ms = milliseconds(options[name] ?? otherwise)
      if (ms >= least && ms <= most) return ms
      wrong(`postgres.${name}`, `${ms} ms is out of range`, `use ${least} to ${most} ms`)
    } catch {
      wrong(`postgres.${name}`, 'is not a duration', `write ${name}: '${otherwise}'`)
    }
    return least
  }
  const statementTimeout = span('statementTimeout', '30s', 1_000, 600_000)
  const patience = span('patience', '10s', 0, 300_000)
  const transactions = options.transactions ?? 8
  if (!Number.isInteger(transactions) || transactions < 1 || transactions > 100)
    wrong('postgres.transactions', `${transactions} is out of range`, 'use a whole number from 1 to 100')
  const unchecked = ['rejectUnauthorized', 'checkServerIdentity'].filter((name) => options.ssl && name in options.ssl)
  if (unchecked.length > 0 || urls.some((u) => /[?&]sslmode=no-verify/.test(u)))
    wrong('postgres.ssl', 'would switch the check of certificates off', 'add your own authority with ssl: { ca }')
  if (problems.length > 0)
    throw fault('config.option', {
      message: problems.map((p) => `${p.path} ${p.message}: ${p.fix}`).join('; '),
      detail: { problems },
    })
  return { urls, schema, statementTimeout, patience, transactions, ssl: options.ssl }
}

function isUrl(text: unknown): boolean {
  return typeof text === 'string' && URL.canParse(text) && /^postgres(?:ql)?:$/.test(new URL(text).protocol)
}

/** Where we connect, for people: without user and password. */
export function placeOf(url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `${hostname}:${port || '5432'}${pathname}`
}
