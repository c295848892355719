import {
  driven,
  dryRunOption,
  filterOf,
  paceOf,
  progressOf,
  reasonOption,
  tallied,
  withFilter,
  withPace,
  type FilterOptions,
  type PaceOptions,
} from '../bulk.ts'
import type { Declare } from '../command.ts'
import { aboutProject } from '../command.ts'
import { interruptible } from '../operator.ts'
import { jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = FilterOptions & PaceOptions & { readonly dryRun?: boolean; readonly reason?: string }

export const redrive: Declare = (command, terminal) =>
  aboutProject(
    withPace(
      withFilter(
        command
          .description(
            'Handle the dead messages of a subscription again, at a rate, with their tries counted anew. It stops when they only die again.',
          )
          .argument('<subscription>', 'its name'),
      ),
      '10/s',
    )
      .addOption(reasonOption())
      .addOption(dryRunOption()),
    "fairlead redrive billing --code 'order.*' --rate 50/s --dry-run",
  ).action(async (name: string, options: Options) => {
    const { reason, dryRun } = options
    const result = await interruptible((signal) =>
      withApp(options.config, ({ operations }) =>
        operations.redrive({
          ...filterOf(name, options),
          ...paceOf(options),
          ...progressOf(terminal, options, () => performance.now()),
          signal,
          ...(reason === undefined ? {} : { reason }),
          ...(dryRun === undefined ? {} : { dryRun }),
        }),
      ),
    )
    if (options.json) return terminal.out(jsonLine(result))
    if (dryRun) return terminal.out(`Dry run: ${tallied(result.found)}. Nothing was touched.`)
    terminal.out(`Found ${tallied(result.found)}.`)
    if (result.found.messages > 0) for (const line of driven(result)) terminal.out(line)
  })
