import { Argument } from 'commander'
import { reasonOption } from '../bulk.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & { readonly reason?: string }

export const breaker: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Open the breaker of a connection by hand, in all processes and across restarts, so that nothing is sent to it; or close it again.',
      )
      .addArgument(new Argument('<action>', 'what to do with it').choices(['isolate', 'close']))
      .argument('<connection>', 'its name')
      .addOption(reasonOption()),
    "fairlead breaker isolate payments --reason 'their migration'",
  ).action(async (action: 'isolate' | 'close', connection: string, options: Options) => {
    const reason = options.reason === undefined ? {} : { reason: options.reason }
    await withApp(options.config, ({ operations }) =>
      action === 'isolate' ? operations.isolate(connection, reason) : operations.closeBreaker(connection, reason),
    )
    if (options.json)
      return terminal.out(jsonLine({ connection, breaker: action === 'isolate' ? 'isolated' : 'closed' }))
    terminal.out(
      action === 'isolate'
        ? `Nothing is sent to ${connection} until: fairlead breaker close ${connection}`
        : `The breaker of ${connection} is closed.`,
    )
  })
