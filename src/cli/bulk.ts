import { InvalidArgumentError, Option, type Command } from 'commander'
import type { Driven, DriveOptions } from '#app/operations/drive.ts'
import type { ParkedFilter, Tally } from '#app/operations/choose.ts'
import type { ProjectOptions } from './command.ts'
import { whole } from './command.ts'
import { counted } from './render.ts'
import type { Terminal } from './terminal.ts'

/** Options of the commands that are about many parked messages at once. */
export type FilterOptions = ProjectOptions & {
  readonly state?: NonNullable<ParkedFilter['state']>
  readonly code?: string
  readonly key?: string
  readonly since?: string
  readonly until?: string
  readonly limit?: number
}

export function withFilter(command: Command): Command {
  return command
    .option('--code <code>', 'only with this last fault; order.* for all that begin so')
    .option('--key <key>', 'only of this key')
    .option('--since <when>', 'only parked since: 2026-01-31T12:00:00Z, or how long ago (2h)')
    .option('--until <when>', 'only parked until: as --since (default: now)')
    .option('-n, --limit <number>', 'at most so many (1 to 100000, default 1000)', whole(1, 100_000))
}

export function filterOf(subscription: string, o: FilterOptions): ParkedFilter {
  return {
    subscription,
    ...(o.state === undefined ? {} : { state: o.state }),
    ...(o.code === undefined ? {} : { code: o.code }),
    ...(o.key === undefined ? {} : { key: o.key }),
    ...(o.since === undefined ? {} : { since: o.since }),
    ...(o.until === undefined ? {} : { until: o.until }),
    ...(o.limit === undefined ? {} : { limit: o.limit }),
  }
}

/** Options of the commands that put messages on their way at a rate. */
export type PaceOptions = { readonly rate?: string; readonly stopAt?: number; readonly wait?: string }

export function withPace(command: Command, defaultRate: string): Command {
  return command
    .option('--rate <rate>', `how fast: 50/s, 100/15m; at most 1000 a second (default: ${defaultRate})`)
    .option('--stop-at <share>', 'stop when this share of the last 20 fails again (default: 0.5)', share)
    .option('--wait <duration>', 'for the result, when all are on their way (default: 5s)')
}

export function paceOf(o: PaceOptions): DriveOptions {
  return {
    ...(o.rate === undefined ? {} : { rate: o.rate as `${number}/s` }),
    ...(o.stopAt === undefined ? {} : { stopAt: o.stopAt }),
    ...(o.wait === undefined ? {} : { wait: o.wait as `${number}s` }),
  }
}

export function stateOption(least: string): Option {
  return new Option('-s, --state <state>', 'why it is parked')
    .choices(['dead', 'retry', 'held', 'behind', 'all'])
    .default(least)
}

export function dryRunOption(): Option {
  return new Option('--dry-run', 'count, and touch nothing')
}

export function reasonOption(): Option {
  return new Option('-r, --reason <text>', 'kept in the audit trail (500 characters)')
}

/** `12 messages: 9 × order.total, 3 × order.customer`. */
export function tallied({ messages, codes }: Tally): string {
  const parts = Object.entries(codes).sort(([, a], [, b]) => b - a)
  const shown = parts.slice(0, 10).map(([code, n]) => `${n} × ${code}`)
  if (parts.length > 10) shown.push(`${parts.length - 10} other codes`)
  return `${counted(messages, 'message')}${shown.length > 0 ? `: ${shown.join(', ')}` : ''}`
}

const why: Readonly<Record<NonNullable<Driven['stopped']>, string>> = {
  failing: 'Stopped: they fail again, the cause persists.',
  idle: 'Stopped: nothing was handled for a minute. Is a process running, or the subscription paused?',
  aborted: 'Stopped by you. What is on its way is handled.',
  taken: 'Stopped: another operator has taken it over.',
}

export function driven(so: Driven): string[] {
  const { started, skipped, handled, failed, waiting } = so
  const parts = [`${handled} handled`, `${failed} failed again`, `${waiting} not yet`]
  if (skipped > 0) parts.push(`${skipped} left alone (waiting already, or somebody was first)`)
  return [
    `${counted(started, 'message')} put on the way: ${parts.join(', ')}.`,
    ...(so.stopped ? [why[so.stopped]] : []),
  ]
}

/** A line on standard error now and then; nothing with --json, and nothing in a short run. */
export function progressOf(
  terminal: Terminal,
  options: ProjectOptions,
  now: () => number,
): { readonly progress: (so: Driven) => void } {
  let told = now()
  return {
    progress: (so) => {
      if (options.json || now() - told < 2_000) return
      told = now()
      terminal.err(`${so.started} started, ${so.handled} handled, ${so.failed} failed again`)
    },
  }
}

function share(text: string): number {
  const n = Number(text)
  if (!(n > 0 && n <= 1)) throw new InvalidArgumentError('It must be a number above 0 and up to 1.')
  return n
}
