import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

export const pause: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Stop a subscription in all processes and across restarts: what runs ends, what arrives waits in the log.',
      )
      .argument('<subscription>', 'its name'),
    'fairlead pause billing',
  ).action(async (name: string, options: ProjectOptions) => {
    await withApp(options.config, (app) => app.operations.pause(name))
    terminal.out(
      options.json ? jsonLine({ paused: name }) : `${name} is paused. It goes on with: fairlead resume ${name}`,
    )
  })

export const resume: Declare = (command, terminal) =>
  aboutProject(
    command.description('Let a paused subscription go on where it stopped.').argument('<subscription>', 'its name'),
    'fairlead resume billing',
  ).action(async (name: string, options: ProjectOptions) => {
    await withApp(options.config, (app) => app.operations.resume(name))
    terminal.out(options.json ? jsonLine({ resumed: name }) : `${name} goes on.`)
  })
