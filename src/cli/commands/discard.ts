import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, number } from '../command.ts'
import { jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

export const discard: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Give a parked message up: its subscription never handles it, the log keeps it, the next of its key goes on.',
      )
      .argument('<number>', 'of `fairlead dead`', number)
      .requiredOption('-r, --reason <text>', 'kept in the audit log (500 characters)'),
    "fairlead discard 17 --reason 'test order of the provider'",
  ).action(async (id: number, options: ProjectOptions & { readonly reason: string }) => {
    await withApp(options.config, (app) => app.operations.discard(id, options.reason))
    terminal.out(options.json ? jsonLine({ discarded: id }) : `Parked message ${id} is discarded.`)
  })
