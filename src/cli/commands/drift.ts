import type { StoredDrift } from '#app/operations/drift.ts'
import { fault } from '#kernel/fault.ts'
import { reasonOption } from '../bulk.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { fields, jsonLine, shownTime } from '../render.ts'
import { table } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & {
  readonly connection?: string
  readonly all?: boolean
  readonly accept?: boolean
  readonly reason?: string
}

export const drift: Declare = (command, terminal) =>
  aboutProject(
    command
      .description('What others answer otherwise than they used to: fields and types that came or went, new values.')
      .argument('[id]', 'one change whole')
      .option('--connection <name>', 'of this connection only')
      .option('--all', 'accepted ones too')
      .option('--accept', 'with an id: it has been seen to, list it no more')
      .addOption(reasonOption()),
    'fairlead drift --connection payments',
  ).action(async (id: string | undefined, options: Options) => {
    if (options.accept && id === undefined) throw fault('cli.usage', { message: '--accept needs the id of a change' })
    const found = await withApp(options.config, async ({ operations }) => {
      const connection = options.connection === undefined ? {} : { connection: options.connection }
      const accepted = options.all === true || id !== undefined
      const shown = (await operations.drifts({ ...connection, accepted })).filter(
        (d) => id === undefined || d.id === id,
      )
      if (id !== undefined && shown.length === 0)
        throw fault('journal.missing', { message: `there is no change "${id}"` })
      if (options.accept)
        await operations.acceptDrift(id!, options.reason === undefined ? {} : { reason: options.reason })
      return shown
    })
    if (options.json)
      return terminal.out(jsonLine(options.accept ? { accepted: id } : id === undefined ? found : found[0]))
    if (options.accept) return terminal.out(`${id} is accepted.`)
    for (const line of id === undefined ? list(found, terminal) : whole(found[0]!)) terminal.out(line)
  })

const columns = [
  { title: 'id' },
  { title: 'certain since' },
  { title: 'operation', least: 12 },
  { title: 'status', align: 'right' },
  { title: 'path', least: 12 },
  { title: 'severity' },
  { title: 'change', least: 12 },
] as const

function list(found: readonly StoredDrift[], terminal: Terminal): string[] {
  if (found.length === 0) return ['Nothing has changed.']
  const rows = found.map((d) => [
    d.id,
    shownTime(d.time),
    `${d.connection}.${d.operation}`,
    d.status,
    d.path,
    d.severity === 'breaking' ? ({ text: d.severity, style: 'red' } as const) : d.severity,
    change(d),
  ])
  return table(columns, rows, terminal)
}

const words: Readonly<Record<StoredDrift['what'], string>> = {
  'field-new': 'a new field',
  'field-back': 'is there again',
  'field-gone': 'is gone',
  'field-optional': 'is missing in some',
  type: 'another type',
  null: 'null in some',
  'null-only': 'null in all',
  format: 'another format',
  'value-new': 'a new value',
}

function change({ what, before, now }: StoredDrift): string {
  const kinds = before !== undefined && now !== undefined ? `${before} → ${now}` : (now ?? before)
  return kinds === undefined ? words[what] : `${words[what]}: ${kinds}`
}

function whole(d: StoredDrift): string[] {
  return fields([
    ['id', d.id],
    ['operation', `${d.connection}.${d.operation}, status ${d.status}`],
    ['path', d.path],
    ['change', change(d)],
    ['severity', d.severity],
    ['first seen', d.first],
    ['certain since', `${d.time}, after ${d.delay} answers`],
    ['answers', `${d.count}`],
    ['sample', d.sample],
    ['accepted', d.accepted && `by ${d.accepted.by} at ${d.accepted.time}`],
  ])
}
