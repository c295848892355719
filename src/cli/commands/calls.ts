import type { Command } from 'commander'
import type { NumberedCall } from '#app/operations/call-record.ts'
import type { Difference } from '#app/operations/differences.ts'
import type { CallsCompared } from '#app/operations/diff-calls.ts'
import { reasonOption } from '../bulk.ts'
import { callLines } from '../call-lines.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, limit, number } from '../command.ts'
import { escapeControls } from '../escape.ts'
import { readData } from '../given.ts'
import { jsonLine, preview, shownTime } from '../render.ts'
import { table } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & {
  readonly connection?: string
  readonly failed?: boolean
  readonly limit: number
  readonly before?: number
}

export const calls: Declare = (command, terminal) => {
  aboutProject(
    command
      .description('Calls to other systems and what they answered, newest first. Masked when written.')
      .option('--connection <name>', 'of this connection only')
      .option('--failed', 'only those that did not end well')
      .option('-n, --limit <number>', 'at most so many, newest first (1 to 1000)', limit, 20)
      .option('--before <number>', 'those with a smaller number: the next page', number),
    'fairlead calls --connection payments --failed',
  ).action(async (options: Options) => {
    const found = await withApp(options.config, (app) =>
      app.operations.calls({
        limit: options.limit,
        ...(options.connection === undefined ? {} : { connection: options.connection }),
        ...(options.failed ? { outcome: 'failed' } : {}),
        ...(options.before === undefined ? {} : { before: options.before }),
      }),
    )
    if (options.json) return terminal.out(jsonLine(found))
    for (const line of list(found, terminal)) terminal.out(line)
  })
  show(command.command('show'), terminal)
  diff(command.command('diff'), terminal)
  resend(command.command('resend'), terminal)
  return command
}

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

function list(found: readonly NumberedCall[], terminal: Terminal): string[] {
  if (found.length === 0) return ['There are no such call records.']
  const rows = found.map((c) => [
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

/* `--config` and `--json` belong to the command above as well, and may stand on either side: hence `optsWithGlobals`. */

function show(command: Command, terminal: Terminal): void {
  aboutProject(
    command
      .summary('one call whole')
      .description('One call whole: attempts with their phases, what was sent and what came back.')
      .argument('<number>', 'of `fairlead calls`', number),
    'fairlead calls show 128',
  ).action(async (call: number, _: unknown, self: Command) => {
    const options = self.optsWithGlobals<ProjectOptions>()
    const found = await withApp(options.config, (app) => app.operations.call(call))
    if (options.json) return terminal.out(jsonLine(found))
    for (const line of callLines(found)) terminal.out(line)
  })
}

function diff(command: Command, terminal: Terminal): void {
  aboutProject(
    command
      .summary('compare a call with one that went well')
      .description(
        'What is different in a call from the last one of its operation that went well, or from another one: request, response, times.',
      )
      .argument('<number>', 'of `fairlead calls`', number)
      .argument('[other]', 'compare with this one instead', number),
    'fairlead calls diff 128',
  ).action(async (call: number, other: number | undefined, _: unknown, self: Command) => {
    const options = self.optsWithGlobals<ProjectOptions>()
    const found = await withApp(options.config, (app) => app.operations.diffCalls(call, other))
    if (options.json) return terminal.out(jsonLine(found))
    for (const line of compared(found)) terminal.out(line)
  })
}

function compared({ call, with: good, request, response, timing }: CallsCompared): string[] {
  const named = (c: NumberedCall): string => `call ${c.call} (${shownTime(c.time)}, ${c.outcome})`
  return [
    escapeControls(`${call.connection}.${call.operation}: ${named(good)} against ${named(call)}`),
    ...part('request', request),
    ...part('response', response),
    ...part('times', timing),
  ]
}

function part(title: string, found: readonly Difference[]): string[] {
  if (found.length === 0) return ['', `${title}: the same`]
  const side = (sign: string, value: unknown): string[] =>
    value === undefined ? [] : [`    ${sign} ${preview(value)}`]
  return [
    '',
    `${title}:`,
    ...found.flatMap((d) => [
      `  ${escapeControls(d.path === '' ? 'all of it' : d.path)}`,
      ...side('-', d.before),
      ...side('+', d.after),
    ]),
  ]
}

type ResendOptions = ProjectOptions & {
  readonly input?: string
  readonly newKey?: boolean
  readonly again?: boolean
  readonly reason?: string
}

function resend(command: Command, terminal: Terminal): void {
  aboutProject(
    command
      .summary('send a call once more')
      .description(
        'Send a call once more, as it was and under its idempotency key. What waited for its answer does not go on: for that, replay its message.',
      )
      .argument('<number>', 'of `fairlead calls`', number)
      .option('--input <file>', 'send this input (JSON; - reads standard input) instead of what is on record')
      .option('--new-key', 'under a new idempotency key: as another request')
      .option('--again', 'although it may have its effect twice')
      .addOption(reasonOption()),
    'fairlead calls resend 128',
  ).action(async (call: number, _: unknown, self: Command) => {
    const { config, json, input, ...options } = self.optsWithGlobals<ResendOptions>()
    // Before the project is loaded: the path is one of the caller's folder.
    const data = input === undefined ? {} : { input: readData(input).value }
    const result = await withApp(config, (app) =>
      app.operations.resend({
        call,
        ...data,
        ...(options.newKey ? { newKey: true } : {}),
        ...(options.again ? { again: true } : {}),
        ...(options.reason === undefined ? {} : { reason: options.reason }),
      }),
    )
    if (json) return terminal.out(jsonLine(result))
    const { outcome, message, record } = result
    const status = record?.status === undefined ? '' : ` It was answered ${record.status}.`
    const where = record === undefined ? '' : ` See: fairlead calls show ${record.call}`
    terminal.out(escapeControls(`Call ${call} was sent again: ${message ?? outcome}.${status}${where}`))
  })
}
