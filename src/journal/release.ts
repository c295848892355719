import type { Read, ReadResult, Store, Write } from '#adapters/stores/port.ts'
import { isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { GroupCommit } from './commit.ts'

const page = 500

/**
 * Makes every message that is held for `heldBy` due now, in all subscriptions: what kept it has come back. Attempts and history
 * stay. Messages that a person decides about meanwhile, or that run just now, keep what became of them. Returns how many.
 */
export async function release(runtime: Runtime<Store>, commit: GroupCommit, heldBy: string): Promise<number> {
  const { store, clock } = runtime
  let released = 0
  for (let after: number | undefined = undefined; ;) {
    const rows: ReadResult<Extract<Read, { read: 'parked' }>> = await store.read({
      read: 'parked',
      state: 'held',
      limit: page,
      ...(after === undefined ? {} : { after }),
    })
    const now = clock.now()
    const done = await Promise.all(
      rows
        .filter((row) => row.heldBy === heldBy && row.due > now)
        .map(async ({ subscription, partition, offset, attempts, faults, body }) => {
          const at = { subscription, partition, offset }
          const write: Write = { write: 'repark', at, state: 'held', attempts, due: now, faults, heldBy }
          try {
            await commit.add({ guards: [{ guard: 'parked', at, states: ['held'], body }], writes: [write] }, 'durable')
            return 1
          } catch (e) {
            if (isFault(e, 'parked.state')) return 0
            throw e
          }
        }),
    )
    released += done.reduce<number>((sum, n) => sum + n, 0)
    if (rows.length < page) return released
    after = rows.at(-1)!.row
  }
}
