import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, limit } from '../command.ts'
import { jsonLine, preview, shownTime } from '../render.ts'
import { table } from '../table.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & { readonly limit: number }

export const audit: Declare = (command, terminal) =>
  aboutProject(
    command
      .description('What operators changed: when, who, what and why, newest first. Kept for a year.')
      .option('-n, --limit <number>', 'at most so many (1 to 1000)', limit, 50),
    'fairlead audit --limit 10',
  ).action(async (options: Options) => {
    const entries = await withApp(options.config, (app) => app.operations.trail(options.limit))
    if (options.json) return terminal.out(jsonLine(entries))
    if (entries.length === 0) return terminal.out('Nobody has changed anything.')
    const rows = entries.map(({ time, by, verb, subject, ...detail }) => [
      shownTime(time),
      by,
      verb,
      subject,
      preview(detail),
    ])
    const columns = [
      { title: 'when' },
      { title: 'who', least: 8 },
      { title: 'what' },
      { title: 'about', least: 12 },
      { title: 'detail', least: 12 },
    ] as const
    for (const line of table(columns, rows, terminal)) terminal.out(line)
  })
