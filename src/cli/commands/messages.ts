import { fault } from '#kernel/fault.ts'
import { parsePosition } from '#kernel/message.ts'
import type { ShownMessage } from '#app/operations/messages.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, limit } from '../command.ts'
import { counted, fields, jsonLine, prettyJson, preview, shownTime } from '../render.ts'
import { table } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & { readonly limit: number }

export const messages: Declare = (command, terminal) =>
  aboutProject(
    command
      .description('Messages of a topic, newest first, or one message whole. Data is masked.')
      .argument('<topic>', 'name of a topic, or the position of one message (topic/partition/offset)')
      .option('-n, --limit <number>', 'at most so many, newest first (1 to 1000)', limit, 20),
    'fairlead messages orders.placed --limit 5',
  ).action(async (where: string, options: Options) => {
    const position = parsePosition(where)
    const query = position ? { topic: position.topic, position: where } : { topic: where, limit: options.limit }
    const found = await withApp(options.config, (app) => app.operations.messages(query))
    const [one] = found
    if (position && !one)
      throw fault('journal.missing', {
        message: `there is no message at ${where}: retention removed it, or the position never existed`,
      })
    if (options.json) return terminal.out(jsonLine(position ? one : found))
    if (position) for (const line of whole(one!)) terminal.out(line)
    else if (found.length === 0) terminal.out(`${where} has no messages.`)
    else for (const line of list(found, terminal)) terminal.out(line)
  })

const columns = [
  { title: 'position', least: 16 },
  { title: 'time' },
  { title: 'key', least: 8 },
  { title: 'data', least: 12 },
] as const

function list(found: readonly ShownMessage[], terminal: Terminal): string[] {
  const rows = found.map((m) => [
    m.position,
    shownTime(m.time),
    m.key ?? '',
    m.damaged === undefined ? preview(m.data) : damage(m),
  ])
  return table(columns, rows, terminal)
}

function whole(m: ShownMessage): string[] {
  return fields([
    ['position', m.position],
    ['id', m.id],
    ['time', m.time],
    ['key', m.key ?? undefined],
    ['damaged', m.damaged === undefined ? undefined : damage(m)],
    ['attributes', prettyJson(m.attributes)],
    ['data', prettyJson(m.data)],
  ])
}

function damage({ damaged }: ShownMessage): string {
  return damaged === true
    ? 'not as it was written: what stands here is what can be read of it'
    : `not there any more: ${counted(damaged?.missing ?? 0, 'message')} from here on`
}
