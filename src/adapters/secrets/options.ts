import { checkOptions, type Problem } from '#kernel/definition.ts'
import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'

/** What all sources have in common. */
export type CommonOptions = {
  /**
   * Where a secret of a definition stands in this source: `{ PAYMENTS_KEY: 'billing/payments#key' }`. What is not named here is
   * looked up as it is called.
   */
  readonly names?: Readonly<Record<string, string>>
  /** How long a value is used before the source is asked again. Behind it the old value serves for as long again, while the answer is waited for. */
  readonly refresh?: Duration
  /** How long the last good value is used while the source cannot be asked; after that reading rejects. At least `refresh`. */
  readonly keep?: Duration
}

export type Common = {
  readonly names: ReadonlyMap<string, string>
  /** Milliseconds. */
  readonly refresh: number
  readonly keep: number
}

const common = ['names', 'refresh', 'keep']

/** Throws `config.option` with everything that is wrong: `own` are the names of the source's other options, `more` their problems. */
export function commonOptions(
  source: string,
  options: CommonOptions,
  defaults: { readonly refresh: Duration; readonly keep: Duration },
  own: readonly string[],
  more: readonly Problem[],
): Common {
  const problems = [...checkOptions(source, options, [...own, ...common]), ...more]
  const span = (name: 'refresh' | 'keep'): number => {
    const value: unknown = options?.[name] ?? defaults[name]
    if (isDuration(value) && milliseconds(value) > 0) return milliseconds(value)
    problems.push({ path: `${source}.${name}`, message: 'is not a time', fix: `use a duration: '${defaults[name]}'` })
    return 1
  }
  const names: unknown = options?.names ?? {}
  if (typeof names !== 'object' || names === null || !Object.values(names).every((n) => typeof n === 'string')) {
    problems.push({ path: `${source}.names`, message: 'is not a table', fix: "use { PAYMENTS_KEY: 'payments#key' }" })
  }
  const refresh = span('refresh')
  const keep = span('keep')
  if (keep < refresh) {
    problems.push({ path: `${source}.keep`, message: 'is shorter than `refresh`', fix: `use ${defaults.keep} or so` })
  }
  if (problems.length > 0) {
    throw fault('config.option', {
      message: problems.map((p) => `${p.path} ${p.message}: ${p.fix}`).join('; '),
      detail: { problems },
    })
  }
  return Object.freeze({ names: new Map(Object.entries(names as Record<string, string>)), refresh, keep })
}

/** Problems of an address that secrets travel over: https, or plain http to this machine, unless the longer spelling allows it. */
export function addressProblems(path: string, address: unknown, insecure: unknown): Problem[] {
  const problems: Problem[] = []
  if (insecure !== undefined && insecure !== 'allow-http') {
    problems.push({
      path: `${path.slice(0, path.lastIndexOf('.'))}.insecure`,
      message: 'is unknown',
      fix: "use 'allow-http' or nothing",
    })
  }
  const url = typeof address === 'string' ? URL.parse(address) : null
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    return [...problems, { path, message: 'is not an address', fix: "use 'https://host:port'" }]
  }
  const here = url.hostname === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(url.hostname) || url.hostname === '[::1]'
  if (url.protocol === 'http:' && !here && insecure !== 'allow-http') {
    problems.push({
      path,
      message: 'sends secrets in the clear',
      fix: "use https, or allow it with insecure: 'allow-http'",
    })
  }
  return problems
}
