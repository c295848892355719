import { fault } from '#kernel/fault.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, number } from '../command.ts'
import { readData } from '../given.ts'
import { jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & { readonly data?: string }

export const replay: Declare = (command, terminal) =>
  aboutProject(
    command
      .description('Handle parked messages again, now, with their tries counted anew. A running app does it at once.')
      .argument('<numbers...>', 'of `fairlead dead`', (text: string, before?: readonly number[]) => [
        ...(before ?? []),
        number(text),
      ])
      .option('--data <file>', 'with one number: other data, JSON; - reads standard input'),
    'fairlead replay 17 --data corrected.json',
  ).action(async (ids: readonly number[], options: Options) => {
    if (options.data !== undefined && ids.length !== 1)
      throw fault('cli.usage', {
        message: '--data needs the number of exactly one parked message',
        detail: { fix: 'see fairlead replay --help' },
      })
    // Before the project is loaded: the path is one of the caller's folder.
    const data = options.data === undefined ? undefined : readData(options.data)
    await withApp(options.config, async ({ operations }) => {
      for (const id of ids) {
        await (data === undefined ? operations.replay(id) : operations.editAndReplay(id, data.value))
        if (!options.json)
          terminal.out(`Parked message ${id} is replayed${data === undefined ? '' : ' with other data'}.`)
      }
    })
    if (options.json) terminal.out(jsonLine({ replayed: ids }))
  })
