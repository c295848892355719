import { fault, isFault } from '#kernel/fault.ts'
import { allCodes, explain as explained, type Explained } from '#app/operations/explain.ts'
import type { Declare } from '../command.ts'
import { json, withExample } from '../command.ts'
import { fields, jsonLine } from '../render.ts'
import { table } from '../table.ts'

/** Loads the catalogue and nothing else: no project is needed. */
export const explain: Declare = (command, terminal) =>
  withExample(
    command
      .description('What a fault code means, what the engine does next, and what to do. Needs no project.')
      .argument('[code]', 'a fault code; without it, the whole catalogue'),
    'fairlead explain connection.throttled',
  )
    .addOption(json())
    .action((code: string | undefined, options: { readonly json?: boolean }) => {
      if (code === undefined) {
        const all = allCodes()
        if (options.json) return terminal.out(jsonLine(all))
        for (const line of table(
          columns,
          all.map((c) => [c.code, c.kind, c.status, c.help]),
          terminal,
        ))
          terminal.out(line)
        return
      }
      const one = known(code)
      if (options.json) return terminal.out(jsonLine(one))
      const status = `${one.status} to an HTTP caller`
      for (const line of fields([
        ['code', one.code],
        ['kind', `${one.kind}: ${consequence[one.kind]}`],
        ['status', status],
        ['help', one.help],
      ]))
        terminal.out(line)
    })

function known(code: string): Explained {
  try {
    return explained(code)
  } catch (e) {
    if (!isFault(e, 'input.not_found')) throw e
    throw fault('input.not_found', { message: e.message, detail: { fix: '`fairlead explain` lists all codes' } })
  }
}

const columns = [
  { title: 'code' },
  { title: 'kind' },
  { title: 'status', align: 'right' },
  { title: 'help', least: 20 },
] as const

/** What the engine does next (DESIGN §6). */
const consequence = {
  transient: 'it is tried again, with growing pauses',
  throttled: 'it waits as told and is tried again; the whole connection cools down',
  ambiguous: 'it may have happened: verified, or repeated only under the same idempotency key, else parked',
  credential: 'the credential is refreshed once; if that fails, work is held',
  conflict: 'it is read and decided again',
  rejected: 'it stops; a person decides',
  invalid: 'the input is refused, or parked',
  config: 'nothing starts until it is corrected',
  cancelled: 'not a failure',
  bug: 'it is parked, never swallowed',
} as const
