import type { UnresolvedCall } from '#app/operations/unresolved.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, limit } from '../command.ts'
import { counted, fields, jsonLine, shownTime } from '../render.ts'
import { table } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & { readonly limit: number }

export const unresolved: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Calls of which nobody knows whether they happened, and no message makes them again by itself; also those under way. Masked.',
      )
      .argument('[intent]', 'one of them whole')
      .option('-n, --limit <number>', 'at most so many (1 to 1000)', limit, 100),
    'fairlead unresolved',
  ).action(async (intent: string | undefined, options: Options) => {
    const query = { limit: intent === undefined ? options.limit : 1_000 }
    const found = await withApp(options.config, (app) => app.operations.unresolved(query))
    const shown = intent === undefined ? found : found.filter((c) => c.intent === intent)
    if (options.json) return terminal.out(jsonLine(shown))
    for (const line of intent === undefined ? list(shown, terminal) : shown.flatMap(whole)) terminal.out(line)
    if (intent !== undefined && shown.length === 0) terminal.out('It is not, or no longer, among them.')
  })

const columns = [
  { title: 'intent', least: 30 },
  { title: 'since' },
  { title: 'state' },
  { title: 'ended with', least: 12 },
  { title: 'verify' },
] as const

function list(found: readonly UnresolvedCall[], terminal: Terminal): string[] {
  if (found.length === 0) return ['Nothing is unresolved.']
  const rows = found.map((c) => [
    c.intent,
    shownTime(c.since),
    c.state === 'open' ? ({ text: c.state, style: 'red' } as const) : c.state,
    c.code ?? '',
    c.verify ? 'yes' : 'no',
  ])
  const hint = `${counted(found.length, 'call')}. One whole: fairlead unresolved <intent>. Decided: fairlead resolve <intent>.`
  return [...table(columns, rows, terminal), '', terminal.paint('dim', hint)]
}

function whole(c: UnresolvedCall): string[] {
  return fields([
    ['intent', c.intent],
    ['operation', `${c.connection}.${c.operation}`],
    ['state', c.state],
    ['since', c.since],
    [c.state === 'running' ? 'ends until' : 'given up', c.until],
    ['begun', `${c.begun}`],
    ['ended with', c.code],
    ['message', c.message],
    ['correlation', c.correlation],
    ['sent', c.sent],
    ['input', c.input],
    ['verify', c.verify ? 'can be asked: fairlead resolve --verify' : undefined],
  ])
}
