import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { jsonLine } from '../render.ts'
import { table } from '../table.ts'
import { withApp } from '../with-app.ts'

export const scopes: Declare = (command, terminal) =>
  aboutProject(
    command.description(
      'Scopes of connections with OAuth: asked for, granted, declared by operations (`scopes`), and of these the ones that no call has needed since the app first ran.',
    ),
    'fairlead scopes',
  ).action(async (options: ProjectOptions) => {
    const reports = await withApp(options.config, (app) => app.operations.scopes())
    if (options.json) return terminal.out(jsonLine(reports))
    const rows = reports.flatMap((r) => {
      const all = [...new Set([...r.asked, ...(r.granted ?? []), ...r.missing, ...r.unused])]
      return all.map((scope) => [
        r.connection,
        scope,
        r.asked.includes(scope) ? 'yes' : 'no',
        r.granted === undefined ? 'not said' : r.granted.includes(scope) ? 'yes' : 'no',
        r.missing.includes(scope)
          ? { text: 'needed, not granted', style: 'red' as const }
          : r.unused.includes(scope)
            ? { text: 'declared, never needed', style: 'yellow' as const }
            : r.undeclared.includes(scope)
              ? { text: 'no operation declares it', style: 'yellow' as const }
              : '',
      ])
    })
    if (rows.length === 0) return terminal.out('No connection asks for scopes.')
    for (const line of table(columns, rows, terminal)) terminal.out(line)
  })

const columns = [
  { title: 'connection', least: 12 },
  { title: 'scope', least: 20 },
  { title: 'asked' },
  { title: 'granted' },
  { title: '' },
] as const
