import type { Stored } from '#adapters/stores/port.ts'
import { behind } from '../operations/damage.ts'
import type { OperationDeps } from '../operations/deps.ts'
import { offsetAt } from '../operations/log-range.ts'

const page = 500
const bytes = 8 * 1024 * 1024
/** Clocks of two machines may differ: what was published is looked for from this long before its cause. */
const slack = 60_000

/**
 * What the handling of messages has published, found in the logs of all topics in one pass from `earliest` on: by id, and by the message that
 * caused it. `see` is given each such message once, and keeps what it needs.
 */
export async function firstPublishes(
  deps: OperationDeps,
  earliest: number,
  wanted: { readonly id: (topic: string, id: string) => boolean; readonly cause: (id: string) => boolean },
  see: (topic: string, m: Stored, cause: string | undefined) => void,
): Promise<void> {
  const { store } = deps.runtime
  const { log } = deps.journal
  await log.refresh()
  for (const name of deps.definitions.topics.keys()) {
    const topic = log.topic(name)
    const slots = Array.from({ length: topic.partitions }, (_, p) => topic.slot + p)
    for (const { slot, first, next } of await store.read({ read: 'bounds', slots })) {
      let from = await offsetAt(deps, slot, first, next, earliest - slack)
      while (from < next) {
        const rows = await store.read({ read: 'log', slot, from, below: next, limit: page, bytes })
        for (const m of rows) {
          if (m.damage !== undefined) continue
          const cause = causeOf(m)
          if (wanted.id(name, m.id) || (cause !== undefined && wanted.cause(cause))) see(name, m, cause)
        }
        from = rows.length === 0 ? next : behind(rows.at(-1)!)
      }
    }
  }
}

function causeOf({ meta }: Stored): string | undefined {
  if (meta === null || !meta.includes('"causationid"')) return undefined
  return (JSON.parse(meta) as { causationid?: string }).causationid
}
