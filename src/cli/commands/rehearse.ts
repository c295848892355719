import type { RehearsedEffect, RehearsedMessage } from '#app/rehearsal/note.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, whole } from '../command.ts'
import { escapeControls } from '../escape.ts'
import { interruptible } from '../operator.ts'
import { counted, jsonLine, preview } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & { readonly from: string; readonly until?: string; readonly limit?: number }

/** Messages that are shown; --json has all. */
const shown = 20

export const rehearse: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Run the handler over messages that it has handled before, do nothing, and tell what it would do otherwise: calls and publishes are noted and compared with those of the first run.',
      )
      .argument('<subscription>', 'its name')
      .requiredOption(
        '--from <when>',
        'a moment (2026-01-31T12:00:00Z), how long ago (2h), or a position (orders/3/128)',
      )
      .option('--until <when>', 'as --from (default: now)')
      .option('-n, --limit <number>', 'at most so many (1 to 10000, default 1000)', whole(1, 10_000)),
    'fairlead rehearse billing --from 2h',
  ).action(async (subscription: string, { from, until, limit, ...options }: Options) => {
    const result = await interruptible((signal) =>
      withApp(options.config, ({ operations }) =>
        operations.rehearse({
          subscription,
          from,
          signal,
          ...(until === undefined ? {} : { until }),
          ...(limit === undefined ? {} : { limit }),
        }),
      ),
    )
    if (options.json) return terminal.out(jsonLine(result))
    const { rehearsed, messages, outcomes, differing } = result
    terminal.out(
      `${rehearsed} of ${counted(messages, 'message')} rehearsed: ${outcomes.same} the same, ${outcomes.different} different, ${outcomes.failed} failed, ${outcomes.unanswered} unanswered. Nothing was done.`,
    )
    for (const message of differing.slice(0, shown)) for (const line of lines(message)) terminal.out(line)
    if (differing.length > shown) terminal.out(`and ${differing.length - shown} more: --json shows them`)
  })

function lines(m: RehearsedMessage): string[] {
  return [
    '',
    escapeControls(`${m.position}  ${m.outcome}${m.fault ? `: ${m.fault.code}: ${m.fault.message}` : ''}`),
    ...m.effects.flatMap(effectLines),
    ...(m.transaction ? ['  what it wrote through ctx.tx was rolled back, and is not compared'] : []),
  ]
}

function effectLines(e: RehearsedEffect): string[] {
  const what = 'publish' in e ? `publish ${e.publish}` : `call ${e.call} ${e.line}`
  return [
    `  ${e.verdict.padEnd(9)}  ${escapeControls(what)}`,
    ...(e.verdict === 'same' || e.before === undefined ? [] : [`    before  ${preview(e.before)}`]),
    ...(e.verdict === 'same' || e.now === undefined ? [] : [`    now     ${preview(e.now)}`]),
  ]
}
