import { Option } from 'commander'
import { fault } from '#kernel/fault.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { readData } from '../given.ts'
import { jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & {
  readonly happened?: boolean
  readonly notHappened?: boolean
  readonly verify?: boolean
  readonly answer?: string
  readonly reason?: string
}

export const resolve: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Say whether a call happened, when you have found out. Made again (its message replayed), it gets the answer, or is sent. Nothing is sent or replayed by this.',
      )
      .argument('<intent>', 'of `fairlead unresolved`')
      .addOption(new Option('--happened', 'it did').conflicts(['notHappened', 'verify']))
      .addOption(new Option('--not-happened', 'it did not').conflicts(['verify', 'answer']))
      .addOption(new Option('--verify', "ask the operation's `verify`").conflicts('answer'))
      .option('--answer <file>', 'with --happened: what was answered, JSON; - reads standard input')
      .option('-r, --reason <text>', 'how you know: kept in the audit trail (500 characters)'),
    "fairlead resolve payments/refund/r-17 --not-happened --reason 'asked them'",
  ).action(async (intent: string, options: Options) => {
    const { happened = false, notHappened = false, verify = false, reason } = options
    if (!happened && !notHappened && !verify) throw usage('say --happened, --not-happened or --verify')
    if (!verify && reason === undefined) throw usage('say how you know: --reason <text>')
    const answer = options.answer === undefined ? {} : { answer: readData(options.answer).value }
    const outcome = await withApp(options.config, async ({ operations }) => {
      if (verify) return operations.resolveByVerify(intent)
      await operations.resolve(intent, { happened, reason: reason!, ...answer })
      return happened ? 'happened' : 'nothing'
    })
    if (options.json) return terminal.out(jsonLine({ resolved: intent, happened: outcome === 'happened' }))
    terminal.out(`${intent} is resolved: it ${outcome === 'happened' ? 'happened' : 'did not happen'}.`)
  })

function usage(message: string): Error {
  return fault('cli.usage', { message, detail: { fix: 'see fairlead resolve --help' } })
}
