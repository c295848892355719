import { Option } from 'commander'
import { fault, type FaultRecord } from '#kernel/fault.ts'
import type { App } from '#app/fairlead.ts'
import type { ParkedMessage } from '#app/operations/parked.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, limit, number } from '../command.ts'
import { counted, fields, jsonLine, prettyJson, shownTime } from '../render.ts'
import { table } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { withApp } from '../with-app.ts'

const states = ['dead', 'retry', 'held', 'behind', 'all'] as const
type Options = ProjectOptions & {
  readonly state: (typeof states)[number]
  readonly subscription?: string
  readonly limit: number
  readonly after?: number
}

export const dead: Declare = (command, terminal) =>
  aboutProject(
    command
      .description('Messages that are parked and why, in the order of parking, or one of them whole. Data is masked.')
      .argument('[number]', 'one message whole: faults, history, data', number)
      .addOption(new Option('-s, --state <state>', 'why it is parked').choices(states).default('dead'))
      .option('--subscription <name>', 'of this subscription only')
      .option('-n, --limit <number>', 'at most so many, in the order of parking (1 to 1000)', limit, 100)
      .option('--after <number>', 'those with a higher number: the next page', number),
    'fairlead dead --subscription billing',
  ).action(async (id: number | undefined, options: Options) => {
    if (id !== undefined) {
      const one = await withApp(options.config, (app) => parkedMessage(app, id))
      if (options.json) terminal.out(jsonLine(one))
      else for (const line of whole(one)) terminal.out(line)
      return
    }
    const query = {
      limit: options.limit,
      ...(options.state === 'all' ? {} : { state: options.state }),
      ...(options.subscription === undefined ? {} : { subscription: options.subscription }),
      ...(options.after === undefined ? {} : { after: options.after }),
    }
    const found = await withApp(options.config, (app) => app.operations.parked(query))
    if (options.json) return terminal.out(jsonLine(found))
    for (const line of list(found, options, terminal)) terminal.out(line)
  })

/** The parked message of this number. `journal.missing` when there is none (any more). */
async function parkedMessage(app: App, id: number): Promise<ParkedMessage> {
  const [found] = await app.operations.parked({ after: id - 1, limit: 1 })
  if (found?.parked === id) return found
  throw fault('journal.missing', {
    message: `there is no parked message ${id}: it was handled, discarded, or never existed`,
    detail: { id },
  })
}

const columns = [
  { title: 'number', align: 'right' },
  { title: 'subscription', least: 10 },
  { title: 'state' },
  { title: 'tries', align: 'right' },
  { title: 'parked' },
  { title: 'key', least: 6 },
  { title: 'fault', least: 12 },
] as const

function list(found: readonly ParkedMessage[], options: Options, terminal: Terminal): string[] {
  if (found.length === 0) return [options.state === 'all' ? 'Nothing is parked.' : `Nothing is ${options.state}.`]
  const rows = found.map((m) => [
    m.parked,
    m.subscription,
    m.state === 'dead' ? ({ text: m.state, style: 'red' } as const) : m.state,
    m.attempts,
    shownTime(m.since),
    m.key ?? '',
    m.fault ? `${m.fault.code}: ${m.fault.message}` : '',
  ])
  const first = found[0]!.parked
  const hint =
    found.length === options.limit
      ? `The next page: --after ${found.at(-1)!.parked}`
      : `${counted(found.length, 'message')}. One whole: fairlead dead ${first}. Again: fairlead replay ${first}.`
  return [...table(columns, rows, terminal), '', terminal.paint('dim', hint)]
}

function whole(m: ParkedMessage): string[] {
  return fields([
    ['number', `${m.parked}`],
    ['subscription', m.subscription],
    ['position', m.position],
    ['id', m.id],
    ['key', m.key ?? undefined],
    ['accepted', m.time],
    ['parked', m.since],
    ['state', m.state],
    ['tries', `${m.attempts}`],
    ['due', m.due],
    ['held by', m.heldBy],
    ...(m.history.length === 0 ? [] : [['faults, newest last', m.history.flatMap(faultLines)] as const]),
    ['attributes', prettyJson(m.attributes)],
    ['data', prettyJson(m.data)],
  ])
}

/** The journal adds to a fault when it happened. */
function faultLines(f: FaultRecord & { readonly at?: number }): string[] {
  return fields([
    [f.at === undefined ? 'fault' : shownTime(f.at), `${f.code} (${f.kind}): ${f.message}`],
    ...(f.causes ?? []).map((cause) => ['  because', cause] as const),
    ...(f.detail === undefined ? [] : [['  detail', JSON.stringify(f.detail)] as const]),
  ])
}
