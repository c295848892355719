import type { Store } from '#adapters/stores/port.ts'
import { toFault } from '#kernel/fault.ts'
import type { TopicHandle } from '#kernel/handle.ts'
import type { Runtime } from '#kernel/runtime.ts'
import type { Journal } from '#journal/journal.ts'
import type { Drift, DriftKeep } from '#patterns/connections/drift/watch.ts'

export const driftPrefix = 'drift/event/'
/** A change that nobody accepted is forgotten after half a year; accepting keeps it that long too. */
export const driftKept = 180 * 86_400_000
/** Changes of one connection that are kept: beyond these it is another API, and one line says as much. */
const most = 200

/** As it is stored: the change, and who has accepted it. */
export type StoredDrift = Drift & { readonly accepted?: { readonly by: string; readonly time: string } }

export function driftKey({ connection, id }: Pick<Drift, 'connection' | 'id'>): string {
  return `${driftPrefix}${connection}/${id}`
}

/** Keeps shapes and changes in the store's keys; a change is logged and published by the one process that wrote it down. */
export function driftKeep(
  journal: Journal,
  runtime: Pick<Runtime<Store>, 'log'>,
  publish: (to: TopicHandle<Drift>, drift: Drift) => Promise<unknown>,
): DriftKeep {
  const { keys } = journal
  return {
    get: (name) => keys.get(name),
    swap: (name, version, value) => keys.swap(name, version, value),
    async announce(drift, to) {
      const { connection, operation, status, path, what, severity, id } = drift
      try {
        const before = await keys.get(driftKey(drift))
        if (before && (JSON.parse(before.value) as StoredDrift).accepted === undefined) return
        if (!before && (await keys.list(`${driftPrefix}${connection}/`)).length >= most) return
        if (!(await keys.swap(driftKey(drift), before?.version ?? 0, JSON.stringify(drift), driftKept))) return
        const level = severity === 'info' ? 'info' : 'warn'
        runtime.log.write(level, 'connection.drift', { id, connection, operation, status, path, what, severity })
        if (to) await publish(to, drift)
      } catch (error) {
        const fault = toFault(error, 'bug').message
        runtime.log.write('warn', 'connection.drift_unsaved', { connection, operation, path, what, fault })
      }
    },
  }
}
