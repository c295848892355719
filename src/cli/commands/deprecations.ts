import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { jsonLine } from '../render.ts'
import { table } from '../table.ts'
import { withApp } from '../with-app.ts'

export const deprecations: Declare = (command, terminal) =>
  aboutProject(
    command.description(
      'What others will stop and is in use: Deprecation and Sunset of their answers, ends of API versions that you declared.',
    ),
    'fairlead deprecations --json',
  ).action(async (options: ProjectOptions) => {
    const found = await withApp(options.config, (app) => app.operations.endings())
    if (options.json) return terminal.out(jsonLine(found))
    if (found.length === 0) return terminal.out('Nothing in use is known to end.')
    const date = (time: string | true | undefined): string => (time === true ? 'yes' : (time?.slice(0, 10) ?? ''))
    const rows = found.map((e) => [
      e.operation === undefined ? `${e.connection}, version ${e.version}` : `${e.connection}.${e.operation}`,
      date(e.deprecated),
      date(e.sunset),
      e.days !== undefined && e.days <= 30 ? ({ text: String(e.days), style: 'red' } as const) : (e.days ?? ''),
      date(e.first),
      date(e.last),
      e.link ?? '',
    ])
    const columns = [
      { title: 'what', least: 12 },
      { title: 'deprecated' },
      { title: 'ends' },
      { title: 'days', align: 'right' },
      { title: 'first said' },
      { title: 'last' },
      { title: 'more', least: 10 },
    ] as const
    for (const line of table(columns, rows, terminal)) terminal.out(line)
  })
