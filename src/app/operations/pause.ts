import { fault } from '#kernel/fault.ts'
import { pauseKey, type Pause, type PauseTarget } from '#journal/pauses.ts'
import { audit, reasonOf, subscriptionRow, type OperationDeps } from './deps.ts'

export type { PauseTarget } from '#journal/pauses.ts'

/**
 * Stops a topic, a subscription or one partition of a subscription from starting handlers, in the whole fleet and across
 * restarts; what runs ends. A name alone is a subscription.
 *
 * A paused topic is read by nobody, and is published to as before: a pause must not become an outage for those who send.
 * What arrives waits in the log, and is kept however long the pause lasts. A paused partition (a poisoned one, say) leaves the
 * others alone. Idempotent: of two pauses the later one's reason stands.
 */
export async function pause(
  deps: OperationDeps,
  what: string | PauseTarget,
  options: { readonly reason?: string } = {},
): Promise<void> {
  const target = await known(deps, what)
  const reason = reasonOf(options.reason)
  const since = new Date(deps.runtime.clock.now()).toISOString()
  const value = JSON.stringify({ ...target, by: deps.by, since, reason } satisfies Pause)
  await deps.journal.commit.add(
    {
      writes: [
        { write: 'put', name: pauseKey(target), value, expires: null },
        audit(deps, 'pause', subject(target), { reason }),
      ],
    },
    'durable',
  )
  await deps.journal.refresh()
}

/** Ends a pause of exactly this: a subscription goes on only when its topic is not paused either. Idempotent. */
export async function resume(deps: OperationDeps, what: string | PauseTarget): Promise<void> {
  const target = await known(deps, what)
  await deps.journal.commit.add(
    { writes: [{ write: 'drop', name: pauseKey(target) }, audit(deps, 'resume', subject(target))] },
    'durable',
  )
  await deps.journal.refresh()
}

/** The target, if it exists: a pause of something misspelled would stop nothing, and say nothing. */
async function known(deps: OperationDeps, what: string | PauseTarget): Promise<PauseTarget> {
  const target = typeof what === 'string' ? { subscription: what } : what
  if ('topic' in target) return { topic: deps.journal.log.topic(target.topic).name }
  const { subscription, partition } = target
  const row = await subscriptionRow(deps, subscription)
  if (partition === undefined) return { subscription }
  const { partitions } = deps.journal.log.topic(row.topic)
  if (!Number.isInteger(partition) || partition < 0 || partition >= partitions)
    throw fault('config.option', {
      message: `${subscription} has the partitions 0 to ${partitions - 1}, not ${partition}`,
      detail: { subscription, partition, partitions },
    })
  return { subscription, partition }
}

function subject(target: PauseTarget): string {
  return pauseKey(target).slice('pause/'.length)
}
