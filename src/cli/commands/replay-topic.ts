import { fault } from '#kernel/fault.ts'
import { driven, dryRunOption, paceOf, progressOf, reasonOption, withPace, type PaceOptions } from '../bulk.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { interruptible } from '../operator.ts'
import { counted, jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions &
  PaceOptions & {
    readonly from?: string
    readonly until?: string
    readonly dryRun?: boolean
    readonly reason?: string
    readonly resume?: boolean
    readonly cancel?: boolean
  }

export const replayTopic: Declare = (command, terminal) =>
  aboutProject(
    withPace(
      command
        .description(
          'Handle again what a subscription has handled before, out of the log: effects under the same ids and keys. Without --until new messages wait until the old ones are on their way.',
        )
        .argument('<subscription>', 'its name')
        .option(
          '--from <when>',
          'a moment (2026-01-31T12:00:00Z), how long ago (2h), or a position (orders.placed/3/128)',
        )
        .option('--until <when>', 'as --from; then it is a repetition beside what goes on (0s: up to now)')
        .option('--resume', 'go on with a replay that stopped before its end')
        .option('--cancel', 'give a replay up: what is on its way is handled, the rest is not'),
      '100/s',
    )
      .addOption(reasonOption())
      .addOption(dryRunOption()),
    "fairlead replay-topic billing --from 2h --reason 'wrong prices'",
  ).action(async (subscription: string, options: Options) => {
    assertOne(options)
    const { from, until, reason, dryRun } = options
    if (options.cancel) {
      await withApp(options.config, ({ operations }) => operations.cancelReplay(subscription))
      return terminal.out(
        options.json ? jsonLine({ cancelled: subscription }) : `The replay of ${subscription} is given up.`,
      )
    }
    const result = await interruptible((signal) =>
      withApp(options.config, ({ operations }) => {
        const pace = { ...paceOf(options), ...progressOf(terminal, options, () => performance.now()), signal }
        if (from === undefined) return operations.resumeReplay(subscription, pace)
        return operations.replayTopic({
          subscription,
          from,
          ...pace,
          ...(until === undefined ? {} : { until }),
          ...(reason === undefined ? {} : { reason }),
          ...(dryRun === undefined ? {} : { dryRun }),
        })
      }),
    )
    if (options.json) return terminal.out(jsonLine(result))
    if (dryRun) return terminal.out(`Dry run: ${counted(result.messages, 'message')}. Nothing was touched.`)
    terminal.out(`${counted(result.messages, 'message')} in the range.`)
    if (result.messages > 0) for (const line of driven(result)) terminal.out(line)
    if (result.stopped !== undefined && result.stopped !== 'taken')
      terminal.out(`It goes on with: fairlead replay-topic ${subscription} --resume, or give it up: --cancel`)
  })

function assertOne({ from, until, resume, cancel, dryRun }: Options): void {
  const wrong = (message: string): never => {
    throw fault('cli.usage', { message, detail: { fix: 'see fairlead replay-topic --help' } })
  }
  if ([from, resume, cancel].filter((o) => o !== undefined).length !== 1)
    wrong('one of --from, --resume and --cancel is needed')
  if (from === undefined && (until !== undefined || dryRun !== undefined)) wrong('--until and --dry-run go with --from')
}
