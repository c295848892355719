import { Buffer } from 'node:buffer'
import type { Damage, Stored } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import { parsePosition, printPosition } from '#kernel/message.ts'
import { leftOf } from '#journal/damage.ts'
import type { OperationDeps } from './deps.ts'

export type ShownMessage = {
  /** `orders.placed/3/128` */
  readonly position: string
  readonly id: string
  readonly time: string
  readonly key: string | null
  readonly attributes: unknown
  /** Masked; text for bytes that are UTF-8, their number otherwise. */
  readonly data: unknown
  /** It is not as it was written: what stands here is what can be read of it. Or so many are not there any more, from this position on. */
  readonly damaged?: true | { readonly missing: number }
}

/** The newest messages of a topic, newest first; or the one at a position. Data is masked. Limit 1,000. */
export async function messages(
  deps: OperationDeps,
  query: { readonly topic: string; readonly limit?: number; readonly position?: string },
): Promise<readonly ShownMessage[]> {
  const { log } = deps.journal
  await log.refresh()
  const topic = log.topic(query.topic)
  const limit = Math.min(1_000, query.limit ?? 20)
  const show = (partition: number, m: Stored): ShownMessage => ({
    position: printPosition({ topic: topic.name, partition, offset: m.offset }),
    ...(m.damage === undefined ? shown(deps, m) : left(deps, m, m.damage)),
  })
  if (query.position !== undefined) {
    const p = parsePosition(query.position)
    if (!p || p.topic !== topic.name || p.partition >= topic.partitions) {
      throw fault('journal.missing', {
        message: `"${query.position}" is not a position of ${topic.name}: write ${topic.name}/<partition>/<offset>`,
      })
    }
    const found = await log.read(topic.slot + p.partition, p.offset, 1, 1)
    return found.filter((m) => m.offset === p.offset).map((m) => show(p.partition, m))
  }
  const all: { partition: number; m: Stored }[] = []
  for (let p = 0; p < topic.partitions; p++) {
    const slot = topic.slot + p
    for (const m of await deps.runtime.store.read({ read: 'newest', slot, below: log.head(slot), limit }))
      all.push({ partition: p, m })
  }
  return all
    .sort((a, b) => b.m.time - a.m.time || b.m.offset - a.m.offset)
    .slice(0, limit)
    .map(({ partition, m }) => show(partition, m))
}

function left(deps: OperationDeps, m: Stored, { missing }: Damage): Omit<ShownMessage, 'position'> {
  return { ...shown(deps, leftOf(m, 0)), damaged: missing === 0 ? true : { missing } }
}

export function shown(
  deps: OperationDeps,
  m: Pick<Stored, 'id' | 'time' | 'key' | 'meta' | 'body'>,
): Omit<ShownMessage, 'position'> {
  return {
    id: m.id,
    time: new Date(m.time).toISOString(),
    key: m.key,
    attributes: m.meta === null ? {} : deps.runtime.redact.value(JSON.parse(m.meta)),
    data: deps.runtime.redact.value(readable(m.body)),
  }
}

function readable(body: string | Uint8Array): unknown {
  if (typeof body === 'string') return JSON.parse(body) as unknown
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  if (text.includes('\uFFFD')) return `${body.length} bytes`
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
