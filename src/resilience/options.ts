import { checkOptions, type Problem } from '#kernel/definition.ts'
import { isDuration, milliseconds } from '#kernel/duration.ts'
import { fault } from '#kernel/fault.ts'

/** Says what is expected when the value is wrong; undefined when it is right. */
export type Check = (value: unknown) => string | undefined

/** All problems of a policy's options at once: unknown names, then values out of range. Absent options are fine. */
export function problemsOf(path: string, options: unknown, checks: Readonly<Record<string, Check>>): Problem[] {
  const problems = checkOptions(path, options, Object.keys(checks))
  if (typeof options !== 'object' || options === null) return problems
  for (const [name, check] of Object.entries(checks)) {
    const value = (options as Readonly<Record<string, unknown>>)[name]
    if (value === undefined) continue
    const fix = check(value)
    if (fix !== undefined) problems.push({ path: `${path}.${name}`, message: `${print(value)} is not accepted`, fix })
  }
  return problems
}

/** Throws `config.option` naming every problem; nothing when there is none. */
export function accept(problems: readonly Problem[]): void {
  if (problems.length === 0) return
  const message = problems.map((p) => `${p.path}: ${p.message}; ${p.fix}`).join('\n')
  throw fault('config.option', { message, detail: { problems } })
}

export function count(least: number, most: number): Check {
  return (v) =>
    Number.isInteger(v) && (v as number) >= least && (v as number) <= most
      ? undefined
      : `use a whole number from ${least} to ${most}`
}

export function between(least: number, most: number): Check {
  return (v) => (typeof v === 'number' && v >= least && v <= most ? undefined : `use a number from ${least} to ${most}`)
}

/** A duration of at least 1 ms. */
export const span: Check = (v) =>
  isDuration(v) && milliseconds(v) >= 1 ? undefined : "use a duration of at least 1 ms, such as '250ms', '30s', '5m'"

export function oneOf(...values: readonly string[]): Check {
  return (v) => (values.includes(v as string) ? undefined : `use one of ${values.map((x) => `'${x}'`).join(', ')}`)
}

export function or(a: Check, b: Check): Check {
  return (v) => {
    const first = a(v)
    if (first === undefined) return undefined
    const second = b(v)
    return second === undefined ? undefined : `${first}, or ${second.replace(/^use (one of )?/, '')}`
  }
}

export function listOf(check: Check, least = 1): Check {
  return (v) => {
    if (!Array.isArray(v) || v.length < least) return `use a list of at least ${least}`
    for (const item of v) {
      const fix = check(item)
      if (fix !== undefined) return fix
    }
    return undefined
  }
}

function print(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 60)
}
