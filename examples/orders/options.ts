import { parseArgs } from 'node:util'

export type Options = {
  readonly once: boolean
  readonly crash: boolean
  readonly seed: number
  readonly messages: number
}

export const help = `npm start -- [options]

Runs an engine against three unreliable APIs for about a minute and proves that the books balance.

  --once         stop at the end: exit 0 if the books balance, 1 if not (default: stay up, Ctrl-C stops)
  --crash        kill -9 the engine three times at random moments
  --seed N       which requests, faults and moments (default 1)
  --messages N   how many different events are sent, 10 to 5000 (default 400); wrong ones and repetitions come on top
  --help         this text
`

/** What the command line asks for: options, the help text, or what is wrong with it. */
export function options(args: readonly string[]): Options | { readonly help: true } | { readonly wrong: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean', default: false },
        crash: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        messages: { type: 'string', default: '400' },
        help: { type: 'boolean', default: false },
      },
      allowPositionals: false,
    })
    if (values.help) return { help: true }
    const seed = whole('--seed', values.seed, 0, 4_294_967_295)
    const messages = whole('--messages', values.messages, 10, 5_000)
    return { once: values.once, crash: values.crash, seed, messages }
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) }
  }
}

function whole(name: string, text: string, low: number, high: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= low && value <= high)) throw new Error(`${name} takes a whole number from ${low} to ${high}`)
  return value
}
