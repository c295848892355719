import { pauseKey } from '#journal/journal.ts'
import { audit, subscriptionRow, type OperationDeps } from './deps.ts'

/** Stops a subscription from starting handlers, in the whole fleet and across restarts; running ones end. Idempotent. */
export async function pause(deps: OperationDeps, subscription: string): Promise<void> {
  await subscriptionRow(deps, subscription)
  const name = pauseKey(subscription)
  await deps.journal.commit.add(
    { writes: [{ write: 'put', name, value: '1', expires: null }, audit(deps, 'pause', subscription)] },
    'durable',
  )
  await deps.journal.refresh()
}

export async function resume(deps: OperationDeps, subscription: string): Promise<void> {
  await subscriptionRow(deps, subscription)
  await deps.journal.commit.add(
    { writes: [{ write: 'drop', name: pauseKey(subscription) }, audit(deps, 'resume', subscription)] },
    'durable',
  )
  await deps.journal.refresh()
}
