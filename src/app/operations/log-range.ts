import type { SubscriptionRow } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import { parsePosition } from '#kernel/message.ts'
import type { Topic } from '#journal/log.ts'
import { firstSound } from './damage.ts'
import { subscriptionRow, type OperationDeps } from './deps.ts'
import { timeOf, type When } from './when.ts'

/** Which messages of its topic's log a subscription is to see again. */
export type LogRange = {
  readonly subscription: string
  /**
   * A moment (`'2h'`, a date): everything that the log accepted from then on. Or a position (`'orders.placed/3/128'`): that
   * message and those after it in its partition, and no other partition.
   */
  readonly from: When
  /** The last moment, or the position of the last message. Default: now. */
  readonly until?: When
}

export type Range = { readonly partition: number; readonly from: number; readonly below: number }

/**
 * The range as offsets. What the subscription has not finished for the first time, or the log has forgotten, is not part of it.
 * A moment is found by bisection: where a clock was set back, the messages of that time may be missed or be too many.
 */
export async function rangesOf(
  deps: OperationDeps,
  query: LogRange,
): Promise<{ readonly row: SubscriptionRow; readonly topic: Topic; readonly ranges: readonly Range[] }> {
  const { store, clock } = deps.runtime
  const row = await subscriptionRow(deps, query.subscription)
  const topic = deps.journal.log.topic(row.topic)
  const now = clock.now()
  const from = boundary(topic, query.from, now)
  const until = boundary(topic, query.until ?? new Date(now), now)
  const only = [from, until].flatMap((b) => (b.partition === undefined ? [] : [b.partition]))
  if (only.length === 2 && only[0] !== only[1])
    throw fault('config.option', { message: 'from and until are positions of two partitions: give moments instead' })
  const cursors = new Map(
    (await store.read({ read: 'cursors', subscription: row.id })).map((c) => [c.partition, c.low]),
  )
  const slots = Array.from({ length: topic.partitions }, (_, p) => topic.slot + p)
  const ranges: Range[] = []
  for (const { slot, first } of await store.read({ read: 'bounds', slots })) {
    const partition = slot - topic.slot
    if (only.length > 0 && only[0] !== partition) continue
    const end = Math.max(first, cursors.get(partition) ?? 0)
    const offsetOf = (b: Boundary, after: boolean): Promise<number> | number =>
      b.offset === undefined ? offsetAt(deps, slot, first, end, b.time + (after ? 1 : 0)) : b.offset + (after ? 1 : 0)
    const lowest = Math.max(first, await offsetOf(from, false))
    const below = Math.min(end, await offsetOf(until, true))
    if (lowest < below) ranges.push({ partition, from: lowest, below })
  }
  return { row, topic, ranges }
}

type Boundary =
  | { readonly time: number; readonly partition?: undefined; readonly offset?: undefined }
  | { readonly partition: number; readonly offset: number }

function boundary(topic: Topic, given: When, now: number): Boundary {
  const position = typeof given === 'string' ? parsePosition(given) : undefined
  if (position === undefined) return { time: timeOf(given, now) }
  if (position.topic === topic.name && position.partition < topic.partitions) return position
  throw fault('journal.missing', {
    message: `"${String(given)}" is not a position of ${topic.name}: write ${topic.name}/<partition>/<offset>`,
  })
}

/** The first offset in [low, high) whose message was accepted at `time` or later. */
export async function offsetAt(
  deps: OperationDeps,
  slot: number,
  low: number,
  high: number,
  time: number,
): Promise<number> {
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const m = await firstSound(deps.runtime.store, slot, middle, high)
    if (m === undefined || m.time >= time) high = middle
    else low = m.offset + 1
  }
  return low
}
