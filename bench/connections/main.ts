import * as call from './call.ts'
import { limitOverProcesses } from './fleet.ts'
import * as slow from './slow.ts'

export const about = [...call.about, ...slow.about, 'fleet_: see `fleet`']

export const options = { ...call.options, only: '' }

/** Calls beside others, one slow dependency of ten, one limit over eight processes. `--only call|slow|fleet` for one of them. */
export async function run({ only, ...given }: Partial<typeof options> = {}): Promise<Record<string, number>> {
  const parts = { call: () => call.run(given), slow: () => slow.run(), fleet: () => limitOverProcesses() }
  const figures: Record<string, number> = {}
  for (const [name, part] of Object.entries(parts))
    if (only === undefined || only === '' || only === name) Object.assign(figures, await part())
  return figures
}
