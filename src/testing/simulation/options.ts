import { parseArgs } from 'node:util'

export type Options =
  | { readonly do: 'help' }
  | { readonly do: 'wrong'; readonly why: string }
  | {
      readonly do: 'explore'
      readonly from: number
      readonly seeds: number
      readonly minutes: number | undefined
      readonly json: boolean
      readonly bug: string | undefined
    }
  | { readonly do: 'seed'; readonly seed: number; readonly json: boolean; readonly bug: string | undefined }
  | { readonly do: 'replay'; readonly file: string; readonly json: boolean; readonly bug: string | undefined }
  | { readonly do: 'planted'; readonly seeds: number; readonly starts: number; readonly json: boolean }

export const usage = `usage: npm run simulate -- [options]

Plays simulated worlds, one a seed: engines, clients, handlers and operators on one store, with everything
that may happen to them. Lists that failed before are played first. Ends at the first world that breaks an
invariant, with exit code 1, the shortest list of decisions that still breaks it, and how to play it again.

  --seeds N     how many worlds; default 100
  --from N      the first seed; default 1
  --minutes M   as many worlds as the time allows, instead of --seeds
  --seed N      one world, with its whole timeline
  --replay F    one world from a file of decisions, as a failure has written it
  --bug NAME    with a mistake planted into the engine
  --planted     every planted mistake: how many worlds until it is found (--seeds at most, default 400;
                --starts different first seeds, default 3)
  --json        one line of JSON instead of text
  --help
`

/** What the command line asks for; every mistake in it is said, nothing is guessed. */
export function optionsOf(args: readonly string[]): Options {
  let values
  try {
    ;({ values } = parseArgs({
      args: [...args],
      options: {
        seeds: { type: 'string' },
        from: { type: 'string' },
        minutes: { type: 'string' },
        seed: { type: 'string' },
        replay: { type: 'string' },
        bug: { type: 'string' },
        planted: { type: 'boolean' },
        starts: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }))
  } catch (e) {
    return { do: 'wrong', why: (e as Error).message }
  }
  if (values.help === true) return { do: 'help' }
  for (const name of ['seeds', 'from', 'seed', 'starts'] as const)
    if (values[name] !== undefined && !/^[1-9]\d{0,8}$/.test(values[name]))
      return { do: 'wrong', why: `--${name} takes a whole number from 1 on, not "${values[name]}"` }
  if (values.minutes !== undefined && !(Number(values.minutes) > 0 && Number(values.minutes) <= 10_000))
    return { do: 'wrong', why: `--minutes takes a number above 0, not "${values.minutes}"` }
  const modes = [values.planted === true && 'planted', values.seed && 'seed', values.replay && 'replay'].filter(Boolean)
  if (modes.length > 1) return { do: 'wrong', why: `--${modes.join(' and --')} do not go together` }
  const goes: Readonly<Record<string, readonly string[]>> = {
    explore: ['seeds', 'from', 'minutes', 'bug', 'json'],
    seed: ['seed', 'bug', 'json'],
    replay: ['replay', 'bug', 'json'],
    planted: ['planted', 'seeds', 'starts', 'json'],
  }
  const mode = (modes[0] || 'explore') as 'explore' | 'seed' | 'replay' | 'planted'
  const stray = Object.keys(values).find((name) => !goes[mode]!.includes(name))
  if (stray !== undefined)
    return { do: 'wrong', why: `--${stray} says nothing ${mode === 'explore' ? 'alone' : `with --${mode}`}` }
  if (values.minutes !== undefined && values.seeds !== undefined)
    return { do: 'wrong', why: '--minutes and --seeds do not go together' }
  const json = values.json === true
  const bug = values.bug
  if (mode === 'seed') return { do: 'seed', seed: Number(values.seed), json, bug }
  if (mode === 'replay') return { do: 'replay', file: values.replay!, json, bug }
  if (mode === 'planted')
    return { do: 'planted', seeds: Number(values.seeds ?? 400), starts: Number(values.starts ?? 3), json }
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
  const seeds = minutes === undefined ? Number(values.seeds ?? 100) : Number.POSITIVE_INFINITY
  return { do: 'explore', from: Number(values.from ?? 1), seeds, minutes, json, bug }
}
