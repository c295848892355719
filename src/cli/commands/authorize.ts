import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

export const authorize: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Print a link by which a person allows a connection at their server (OAuth 2.0 authorization code). It works once, for 10 minutes, in the browser that opens it, and is served by the running app.',
      )
      .argument('<connection>', 'a connection with authorizationCode'),
    'fairlead authorize crm',
  ).action(async (connection: string, options: ProjectOptions) => {
    const link = await withApp(options.config, (app) => app.operations.authorize(connection))
    if (options.json) return terminal.out(jsonLine(link))
    terminal.out(link.url)
  })
