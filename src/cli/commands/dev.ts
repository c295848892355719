import { dirname } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { parseChaos, type ChaosRule } from '#app/http/chaos.ts'
import type { Declare } from '../command.ts'
import { configHelp, withExample, whole } from '../command.ts'
import { Shown } from '../dev/shown.ts'
import { Supervisor } from '../dev/supervise.ts'
import { watchProject } from '../dev/watch.ts'
import { findConfig } from '../project.ts'
import type { Terminal } from '../terminal.ts'
import type { ListenOptions } from './start.ts'

type Options = ListenOptions & { readonly config?: string; readonly chaos?: readonly ChaosRule[] }

export const dev: Declare = (command, terminal) =>
  withExample(
    command
      .description(
        'Run, and run anew whenever a file of the project changes. On a terminal a live view shows topics, subscriptions, connections and the last faults; elsewhere plain lines.',
      )
      .option('-c, --config <file>', configHelp)
      .option(
        '-p, --port <number>',
        'listen here rather than where the config says; 0 takes a free one',
        whole(0, 65_535),
      )
      .option('--host <address>', 'default 127.0.0.1: nothing is reachable from another machine')
      .option(
        '--chaos <rule>',
        'lets calls to others go wrong, may be repeated: connection (or *), share, and a status, refuse, lose, cut, hang or a delay: payments:10%:503, *:200ms-2s',
        chaosRule,
      ),
    'fairlead dev',
  ).action((options: Options) => runDev(options, terminal))

function chaosRule(text: string, before: readonly ChaosRule[] = []): readonly ChaosRule[] {
  const rule = parseChaos(text)
  if (rule === undefined)
    throw new InvalidArgumentError("It must be like 'payments:10%:503', '*:lose' or 'crm:50%:200ms-2s'.")
  return [...before, rule]
}

async function runDev(options: Options, terminal: Terminal): Promise<void> {
  const file = findConfig(options.config, process.cwd())
  const shown = new Shown(
    terminal,
    () => performance.now(),
    (text) => void process.stdout.write(text),
  )
  let written: readonly string[] = []
  const { config: _, ...listen } = options
  const supervisor = new Supervisor(
    { ...listen, config: file, watched: terminal.width !== undefined },
    {
      told: (told) => {
        if (told.told === 'running') ({ written } = told)
        shown.told(told)
      },
      line: (text, from) => shown.line(text, from),
      phase: (phase, code) => shown.phase(phase, code),
    },
  )
  const unwatch = watchProject(
    dirname(file),
    () => written,
    (changed) => {
      shown.say(`${changed} changed`)
      supervisor.wish('change')
    },
    (e) => shown.say(`changes are not seen any more: ${e.message}`),
  )
  let asked = 0
  const interrupt = (): void => {
    if (++asked > 1) {
      supervisor.kill()
      process.exit(130)
    }
    shown.say('stopping; once more ends it at once')
    supervisor.wish('stop')
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt)
  const redraw = terminal.width === undefined ? undefined : setInterval(() => shown.draw(), 1_000)
  try {
    await supervisor.run()
  } finally {
    clearInterval(redraw)
    unwatch()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt)
  }
}
