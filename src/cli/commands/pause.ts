import { fault } from '#kernel/fault.ts'
import type { PauseTarget } from '#app/operations/pause.ts'
import { reasonOption } from '../bulk.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, whole } from '../command.ts'
import { jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'
import type { Command } from 'commander'

type Options = ProjectOptions & { readonly topic?: string; readonly partition?: number; readonly reason?: string }

function withTarget(command: Command): Command {
  return command
    .argument('[subscription]', 'its name')
    .option('--topic <topic>', 'instead: all subscriptions of this topic')
    .option('--partition <number>', 'only this partition of the subscription', whole(0, 255))
}

export const pause: Declare = (command, terminal) =>
  aboutProject(
    withTarget(
      command.description(
        'Stop a subscription, one partition of it, or all readers of a topic, in all processes and across restarts: what runs ends, what arrives waits in the log.',
      ),
    ).addOption(reasonOption()),
    "fairlead pause billing --reason 'wrong prices'",
  ).action(async (name: string | undefined, options: Options) => {
    const target = targetOf(name, options)
    const reason = options.reason === undefined ? {} : { reason: options.reason }
    await withApp(options.config, (app) => app.operations.pause(target, reason))
    terminal.out(
      options.json
        ? jsonLine({ paused: target })
        : `${named(target)} is paused. It goes on with: fairlead resume ${words(target)}`,
    )
  })

export const resume: Declare = (command, terminal) =>
  aboutProject(
    withTarget(command.description('Let go on what was paused, where it stopped.')),
    'fairlead resume billing',
  ).action(async (name: string | undefined, options: Options) => {
    const target = targetOf(name, options)
    await withApp(options.config, (app) => app.operations.resume(target))
    terminal.out(options.json ? jsonLine({ resumed: target }) : `${named(target)} goes on.`)
  })

function targetOf(subscription: string | undefined, { topic, partition }: Options): PauseTarget {
  if ((subscription === undefined) === (topic === undefined))
    throw fault('cli.usage', { message: 'name a subscription, or a topic with --topic' })
  if (topic !== undefined) {
    if (partition !== undefined) throw fault('cli.usage', { message: '--partition goes with a subscription' })
    return { topic }
  }
  return { subscription: subscription!, ...(partition === undefined ? {} : { partition }) }
}

/** For people: `billing`, `partition 3 of billing`, `topic orders.placed`. */
export function named(target: PauseTarget): string {
  if ('topic' in target) return `topic ${target.topic}`
  return target.partition === undefined
    ? target.subscription
    : `partition ${target.partition} of ${target.subscription}`
}

function words(target: PauseTarget): string {
  if ('topic' in target) return `--topic ${target.topic}`
  return target.partition === undefined ? target.subscription : `${target.subscription} --partition ${target.partition}`
}
