import { Command, CommanderError } from 'commander'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import type { Declare } from './command.ts'
import { report, type ExitCode } from './errors.ts'
import type { Terminal } from './terminal.ts'
import { version } from './version.ts'

/**
 * All commands, in the order of the help. A command's file is loaded when it is the one that was asked for: of the others
 * the help shows the summary only, and `fairlead explain` loads neither the app nor the user's modules.
 */
const commands: readonly (readonly [name: string, group: string, summary: string, load: () => Promise<Declare>])[] = [
  ['init', 'Begin', 'write a small working project', async () => (await import('./commands/init.ts')).init],
  ['add', 'Begin', 'write a connection from an OpenAPI document', async () => (await import('./commands/add.ts')).add],
  ['check', 'Begin', 'check all definitions, start nothing', async () => (await import('./commands/check.ts')).check],
  ['dev', 'Run', 'run, restart on change, show what happens', async () => (await import('./commands/dev.ts')).dev],
  ['start', 'Run', 'run until SIGTERM or Ctrl-C, then drain', async () => (await import('./commands/start.ts')).start],
  ['status', 'Look', 'everything at a glance', async () => (await import('./commands/status.ts')).status],
  ['topics', 'Look', 'topics and how much is in them', async () => (await import('./commands/topics.ts')).topics],
  ['messages', 'Look', 'messages of a topic, or one', async () => (await import('./commands/messages.ts')).messages],
  ['dead', 'Look', 'parked messages and why, or one', async () => (await import('./commands/dead.ts')).dead],
  ['calls', 'Look', 'calls to others and their answers', async () => (await import('./commands/calls.ts')).calls],
  [
    'unresolved',
    'Look',
    'calls that may have happened',
    async () => (await import('./commands/unresolved.ts')).unresolved,
  ],
  ['drift', 'Look', 'what others answer otherwise', async () => (await import('./commands/drift.ts')).drift],
  [
    'deprecations',
    'Look',
    'what others will stop',
    async () => (await import('./commands/deprecations.ts')).deprecations,
  ],
  ['audit', 'Look', 'what operators changed', async () => (await import('./commands/audit.ts')).audit],
  [
    'rehearse',
    'Look',
    'what a replay would do otherwise',
    async () => (await import('./commands/rehearse.ts')).rehearse,
  ],
  ['scopes', 'Look', 'OAuth scopes asked and used', async () => (await import('./commands/scopes.ts')).scopes],
  ['explain', 'Look', 'what a fault code means', async () => (await import('./commands/explain.ts')).explain],
  ['replay', 'Act', 'handle parked messages again', async () => (await import('./commands/replay.ts')).replay],
  ['redrive', 'Act', 'handle dead messages again', async () => (await import('./commands/redrive.ts')).redrive],
  [
    'replay-topic',
    'Act',
    'handle messages of the log again',
    async () => (await import('./commands/replay-topic.ts')).replayTopic,
  ],
  ['resolve', 'Act', 'say whether a call happened', async () => (await import('./commands/resolve.ts')).resolve],
  ['discard', 'Act', 'give a parked message up', async () => (await import('./commands/discard.ts')).discard],
  ['purge', 'Act', 'give many parked messages up', async () => (await import('./commands/purge.ts')).purge],
  [
    'export',
    'Act',
    'write parked messages to a file',
    async () => (await import('./commands/export.ts')).exportMessages,
  ],
  ['import', 'Act', 'park messages of a file again', async () => (await import('./commands/import.ts')).importMessages],
  ['authorize', 'Act', 'a link to allow a connection', async () => (await import('./commands/authorize.ts')).authorize],
  ['pause', 'Act', 'stop a subscription or topic', async () => (await import('./commands/pause.ts')).pause],
  ['breaker', 'Act', 'isolate a connection, or close it', async () => (await import('./commands/breaker.ts')).breaker],
  ['resume', 'Act', 'let what was paused go on', async () => (await import('./commands/pause.ts')).resume],
]

export const commandNames: readonly string[] = commands.map(([name]) => name)

/** Runs one command line (`['status', '--json']`). Never rejects: what goes wrong is told, and is the exit code. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const json = argv.includes('--json')
  const debug = process.env['FAIRLEAD_DEBUG'] === '1'
  try {
    const program = await programFor(argv, terminal)
    if (argv.length === 0) {
      terminal.err(program.helpInformation({ error: true }).trimEnd())
      return 2
    }
    await program.parseAsync(argv, { from: 'user' })
    return 0
  } catch (e) {
    if (e instanceof CommanderError && e.exitCode === 0) return 0
    return report(e instanceof CommanderError ? usageFault(e, argv) : e, terminal, { json, debug })
  }
}

/** The program with the one command loaded that this line is about. */
async function programFor(argv: readonly string[], terminal: Terminal): Promise<Command> {
  const [first, second] = argv.filter((word) => !word.startsWith('-'))
  const asked = first === 'help' ? second : first
  const program = new Command('fairlead')
    .description('Integrations whose messages are durable before they are acknowledged.')
    .usage('<command> [options]')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.replace(/\n$/, '')),
      // Told by `run`, in the shape of every other failure.
      writeErr: () => {},
      getOutHelpWidth: () => Math.min(terminal.width ?? 80, 100),
      getErrHelpWidth: () => Math.min(terminal.width ?? 80, 100),
    })
    .addHelpText('after', helpEnd)
  for (const [name, group, summary, load] of commands) {
    const command = program.command(name).helpGroup(`${group}:`).summary(summary)
    if (name !== asked) continue
    command.description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
    ;(await load())(command, terminal)
  }
  return program
}

const helpEnd = `
Exit codes: 0 done, 1 it could not be done, 2 the command line, the configuration
or the store has to be corrected first. FAIRLEAD_DEBUG=1 adds the stack of an error.`

function usageFault(e: CommanderError, argv: readonly string[]): Fault {
  if (isFault(e.nestedError)) return e.nestedError
  const message = e.message.replace(/^error: /, '').replace(/\n\((Did you mean .*?)\)$/s, '. $1')
  const command = argv.find((word) => commandNames.includes(word))
  const early = e.code === 'commander.unknownOption' && command !== undefined && argv[0] !== command
  const help = command === undefined ? 'fairlead --help' : `fairlead ${command} --help`
  const fix = early ? `write options after the command: fairlead ${command} …` : `see ${help}`
  return fault('cli.usage', { message, detail: { fix } })
}
