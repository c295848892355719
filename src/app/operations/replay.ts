import type { ParkedState } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import { parseJsonText, type Json } from '#kernel/json.ts'
import { parse } from '#kernel/schema.ts'
import { lastCode } from './choose.ts'
import { audit, parkedRow, type OperationDeps } from './deps.ts'

const waiting: readonly ParkedState[] = ['dead', 'retry', 'held']

/**
 * Runs a parked message again, now, with its attempts counted anew. `parked.state` for one that waits behind another of
 * its key: replay or discard that one first. `message.damaged` for one that is not as it was written: it runs with other data only.
 */
export async function replay(deps: OperationDeps, id: number): Promise<void> {
  await again(deps, id, undefined)
}

/** As `replay`, with other data: checked by the topic's schema, and only for this subscription. The log stays as it was. */
export async function editAndReplay(deps: OperationDeps, id: number, data: Json): Promise<void> {
  const row = await parkedRow(deps, id)
  const subscription = (await deps.runtime.store.read({ read: 'subscriptions' })).find((s) => s.id === row.subscription)
  const schema = subscription && deps.definitions.topics.get(subscription.topic)?.schema
  const value = schema ? await parse(schema, data) : parseJsonText(JSON.stringify(data))
  await again(deps, id, JSON.stringify(value))
}

async function again(deps: OperationDeps, id: number, body: string | undefined): Promise<void> {
  const row = await parkedRow(deps, id)
  if (row.state === 'behind') {
    throw fault('parked.state', {
      message: `parked message ${id} waits behind an earlier one of its key: replay or discard that one first`,
      detail: { id },
    })
  }
  if (body === undefined && lastCode(row) === 'message.damaged')
    throw fault('message.damaged', {
      message: `parked message ${id} is not as it was written: edit and replay it with its right data, or discard it`,
      detail: { id },
    })
  const at = { subscription: row.subscription, partition: row.partition, offset: row.offset }
  const now = deps.runtime.clock.now()
  await deps.journal.commit.add(
    {
      guards: [{ guard: 'parked', at, states: waiting }],
      writes: [
        ...(row.damage === undefined ? [] : [{ write: 'quarantine', parked: row } as const]),
        {
          write: 'repark',
          at,
          state: 'retry',
          attempts: 0,
          due: now,
          faults: row.faults,
          heldBy: null,
          ...(body === undefined ? {} : { body }),
        },
        audit(deps, body === undefined ? 'replay' : 'edit-and-replay', `parked/${id}`, {
          position: at,
          message: row.id,
          ...(body === undefined ? {} : { before: row.body, after: body }),
        }),
      ],
    },
    'durable',
  )
  await deps.journal.refresh()
}
