import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { jsonLine } from '../render.ts'
import { table } from '../table.ts'
import { withApp } from '../with-app.ts'

export const topics: Declare = (command, terminal) =>
  aboutProject(
    command.description(
      'Topics: messages accepted since the beginning, and messages still kept. An inbox is called webhook.<name>, calls for later call.<connection>.',
    ),
    'fairlead topics',
  ).action(async (options: ProjectOptions) => {
    const found = await withApp(options.config, (app) => app.operations.topics())
    if (options.json) return terminal.out(jsonLine(found))
    if (found.length === 0) return terminal.out('There are no topics.')
    const rows = found.map((t) => [t.name, t.partitions, t.accepted, t.messages])
    for (const line of table(columns, rows, terminal)) terminal.out(line)
  })

const columns = [
  { title: 'topic', least: 20 },
  { title: 'partitions', align: 'right' },
  { title: 'accepted', align: 'right' },
  { title: 'kept', align: 'right' },
] as const
