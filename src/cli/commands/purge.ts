import { fault } from '#kernel/fault.ts'
import { dryRunOption, filterOf, stateOption, tallied, withFilter, type FilterOptions } from '../bulk.ts'
import type { Declare } from '../command.ts'
import { aboutProject } from '../command.ts'
import { interruptible } from '../operator.ts'
import { counted, jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = FilterOptions & { readonly dryRun?: boolean; readonly yes?: boolean; readonly reason: string }

export const purge: Declare = (command, terminal) =>
  aboutProject(
    withFilter(
      command
        .description(
          'Give many parked messages up at once: their subscription never handles them, the next of each key goes on. Without --yes it only counts.',
        )
        .argument('<subscription>', 'its name'),
    )
      .addOption(stateOption('dead'))
      .requiredOption('-r, --reason <text>', 'kept in the audit trail with each message (500 characters)')
      .option('-y, --yes', 'do it')
      .addOption(dryRunOption()),
    "fairlead purge billing --code order.test --reason 'test orders' --yes",
  ).action(async (name: string, options: Options) => {
    const { reason, yes = false } = options
    const dryRun = options.dryRun ?? !yes
    const result = await interruptible((signal) =>
      withApp(options.config, ({ operations }) =>
        operations.purge({ ...filterOf(name, options), reason, dryRun, signal }),
      ),
    )
    // Not asked for, and not done: a script must not take it for done.
    if (dryRun && !options.dryRun)
      throw fault('cli.unconfirmed', {
        message: `${tallied(result.found)} would be purged`,
        detail: { found: result.found },
      })
    if (options.json) return terminal.out(jsonLine(result))
    if (dryRun) return terminal.out(`Dry run: ${tallied(result.found)}. Nothing was touched.`)
    terminal.out(
      `${counted(result.purged, 'message')} purged${result.skipped > 0 ? `, ${result.skipped} left alone (somebody was first)` : ''}.`,
    )
  })
