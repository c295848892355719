import { choose, type ParkedFilter, type ParkedRow } from './choose.ts'
import { audit, subscriptionRow, type OperationDeps } from './deps.ts'
import { shown } from './messages.ts'
import { lineFormat, printLine } from './parked-line.ts'
import { storeId } from './store-id.ts'

export type ExportParked = ParkedFilter & {
  /**
   * Everything as it is, so that it can be imported: personal data and secrets of message bodies too. Default false: data and
   * attributes are masked as everywhere, for reading and handing on, and the lines cannot be imported. Either is audited.
   */
  readonly raw?: boolean
}

/**
 * Parked messages as NDJSON, a line each, in the order of parking: place, attributes, data, state, attempts, times, the faults so far.
 * Touches nothing. Faults were masked when they were written, keys never are.
 */
export async function* exportParked(deps: OperationDeps, query: ExportParked): AsyncGenerator<string, void> {
  const { name, topic } = await subscriptionRow(deps, query.subscription)
  const store = await storeId(deps)
  const { raw = false, state = 'dead', code, key } = query
  const filter = { state, ...(code === undefined ? {} : { code }), ...(key === undefined ? {} : { key }) }
  await deps.journal.commit.add(
    { writes: [audit(deps, 'export', `subscription/${name}`, { raw, ...filter })] },
    'durable',
  )
  for await (const rows of choose(deps, query)) {
    for (const { row: _row, subscription: _id, ...parked } of rows)
      yield raw ? printLine({ store, subscription: name, topic, parked }) : masked(deps, name, topic, parked)
  }
}

function masked(
  deps: OperationDeps,
  subscription: string,
  topic: string,
  parked: Omit<ParkedRow, 'row' | 'subscription'>,
): string {
  const { meta: _meta, body: _body, faults, ...rest } = parked
  const { attributes, data } = shown(deps, parked)
  return JSON.stringify({
    format: lineFormat,
    masked: true,
    subscription,
    topic,
    ...rest,
    faults: faults === null ? null : (JSON.parse(faults) as unknown),
    attributes,
    data,
  })
}
