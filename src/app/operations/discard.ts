import { audit, parkedRow, type OperationDeps } from './deps.ts'

/**
 * Decides that a parked message will never be handled by its subscription. It leaves an audit entry with the reason; the
 * next message of its key goes on. The log keeps the message itself.
 */
export async function discard(deps: OperationDeps, id: number, reason: string): Promise<void> {
  const row = await parkedRow(deps, id)
  const at = { subscription: row.subscription, partition: row.partition, offset: row.offset }
  await deps.journal.commit.add(
    {
      guards: [{ guard: 'parked', at, states: ['dead', 'retry', 'held', 'behind'] }],
      writes: [
        { write: 'unpark', at, now: deps.runtime.clock.now() },
        audit(deps, 'discard', `parked/${id}`, {
          position: at,
          message: row.id,
          state: row.state,
          reason: reason.slice(0, 500),
        }),
      ],
    },
    'durable',
  )
  await deps.journal.refresh()
}
