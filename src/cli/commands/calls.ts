import { fault } from '#kernel/fault.ts'
import type { ShownCall } from '#app/operations/calls.ts'
import type { CallRecord, CallSide } from '#patterns/connections/records/record.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, limit, number } from '../command.ts'
import { fields, jsonLine, shownTime } from '../render.ts'
import { table } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & {
  readonly connection?: string
  readonly failed?: boolean
  readonly limit: number
  readonly before?: number
}
/** What `callRecord` wrote, with its number: plain JSON of the store, so each field may be absent in an older one. */
type Call = { readonly call: number } & CallRecord

export const calls: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Calls to other systems and what they answered, newest first, or one call whole. Masked when written.',
      )
      .argument('[number]', 'one call whole: attempts, request, response', number)
      .option('--connection <name>', 'of this connection only')
      .option('--failed', 'only those that did not end well')
      .option('-n, --limit <number>', 'at most so many, newest first (1 to 1000)', limit, 20)
      .option('--before <number>', 'those with a smaller number: the next page', number),
    'fairlead calls --connection payments --failed',
  ).action(async (id: number | undefined, options: Options) => {
    const query =
      id !== undefined
        ? { before: id + 1, limit: 1 }
        : {
            limit: options.limit,
            ...(options.connection === undefined ? {} : { connection: options.connection }),
            ...(options.failed ? { outcome: 'failed' } : {}),
            ...(options.before === undefined ? {} : { before: options.before }),
          }
    const found = await withApp(options.config, (app) => app.operations.calls(query))
    const [one] = found
    if (id !== undefined && one?.call !== id) {
      throw fault('journal.missing', {
        message: `there is no call record ${id}: retention removed it, or it never existed`,
      })
    }
    if (options.json) return terminal.out(jsonLine(id === undefined ? found : one))
    for (const line of id === undefined ? list(found, terminal) : whole(one as Call)) terminal.out(line)
  })

const columns = [
  { title: 'number', align: 'right' },
  { title: 'time' },
  { title: 'operation', least: 12 },
  { title: 'status', align: 'right' },
  { title: 'outcome', least: 10 },
  { title: 'tries', align: 'right' },
  { title: 'ms', align: 'right' },
  { title: 'path', least: 10 },
] as const

function list(found: readonly ShownCall[], terminal: Terminal): string[] {
  if (found.length === 0) return ['There are no such call records.']
  const rows = (found as readonly Call[]).map((c) => [
    c.call,
    shownTime(c.time),
    `${c.connection}.${c.operation}`,
    c.status ?? '',
    c.outcome === 'ok' ? c.outcome : ({ text: c.outcome, style: 'red' } as const),
    c.attempts.length,
    Math.round(c.ms),
    `${c.method} ${c.path}`,
  ])
  return table(columns, rows, terminal)
}

function whole(c: Call): string[] {
  return fields([
    ['number', `${c.call}`],
    ['operation', `${c.connection}.${c.operation}`],
    ['time', c.time],
    ['request', `${c.method} ${c.path}`],
    ['status', c.status === undefined ? undefined : `${c.status}`],
    ['outcome', c.outcome],
    ['took', `${c.ms} ms`],
    ['key', c.key],
    ['message', c.message],
    ['correlation', c.correlation],
    ['attempts', c.attempts.flatMap(attemptLine)],
    ...side('sent', c.request),
    ...side('received', c.response),
  ])
}

function attemptLine(a: CallRecord['attempts'][number]): string[] {
  const phases = Object.entries(a.phases ?? {}).map(([name, ms]) => `${name} ${ms}`)
  const what = [a.purpose, a.status, a.code ?? (a.status === undefined ? undefined : 'ok')].filter(
    (v) => v !== undefined,
  )
  return fields([
    [`at ${a.at} ms`, `${what.join(' ')}, took ${a.ms} ms${phases.length > 0 ? ` (${phases.join(', ')})` : ''}`],
  ])
}

function side(name: string, of: CallSide | undefined): (readonly [string, string[] | string | undefined])[] {
  if (of === undefined) return []
  return [
    [`${name}: headers`, fields(Object.entries(of.headers))],
    [`${name}: body`, of.body === undefined ? undefined : fields([['', of.body]]).map((line) => line.trimStart())],
  ]
}
