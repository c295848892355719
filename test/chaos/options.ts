import { parseArgs } from 'node:util'

export type Options = {
  readonly scenarios: readonly string[]
  /** Undefined: each scenario's own small number. */
  readonly kills: number | undefined
  readonly every: number | undefined
  readonly seed: number
  readonly json: boolean
}

/** What the command line asks for: options, the help text, or what is wrong with it. */
export function options(
  args: readonly string[],
  known: readonly string[],
): Options | { readonly help: true } | { readonly wrong: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        kills: { type: 'string' },
        every: { type: 'string' },
        seed: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    })
    if (values.help) return { help: true }
    const stranger = positionals.find((name) => !known.includes(name))
    if (stranger !== undefined) throw new Error(`there is no scenario "${stranger}"; there are: ${known.join(', ')}`)
    return {
      scenarios: positionals.length === 0 ? known : [...new Set(positionals)],
      kills: values.kills === undefined ? undefined : whole('--kills', values.kills, 1, 100_000),
      every: values.every === undefined ? undefined : whole('--every', values.every, 1, 10_000),
      seed: whole('--seed', values.seed, 0, 4_294_967_295),
      json: values.json,
    }
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) }
  }
}

function whole(name: string, text: string, low: number, high: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= low && value <= high)) throw new Error(`${name} takes a whole number from ${low} to ${high}`)
  return value
}
