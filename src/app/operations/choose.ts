import type { Parked, ParkedState } from '#adapters/stores/port.ts'
import { fault, type FaultRecord } from '#kernel/fault.ts'
import { readable } from './damage.ts'
import { subscriptionRow, type OperationDeps } from './deps.ts'
import { timeOf, type When } from './when.ts'

/** Which parked messages of a subscription an action is about. */
export type ParkedFilter = {
  readonly subscription: string
  /** Default `dead`. */
  readonly state?: ParkedState | 'all'
  /** Code of the last fault; `'connection.*'`: every code that begins so. */
  readonly code?: string
  readonly key?: string
  /** Parked at or after this moment. */
  readonly since?: When
  /** Parked at or before it. Default: now, so what is parked while the action runs is left alone. */
  readonly until?: When
  /** At most so many, in the order of parking. Default 1,000, 1 to 100,000. */
  readonly limit?: number
}

export type ParkedRow = Parked & { readonly row: number }

/** How many, by the code of their last fault (`none`: they wait behind another) and by state. */
export type Tally = {
  readonly messages: number
  readonly codes: Readonly<Record<string, number>>
  readonly states: Readonly<Partial<Record<ParkedState, number>>>
}

/** Rows read at once: each may carry a body of 1 MiB. */
const page = 100
export const mostChosen = 100_000

/** The messages that a filter is about, page by page in the order of parking. Checks the filter before anything is yielded. */
export async function* choose(deps: OperationDeps, filter: ParkedFilter): AsyncGenerator<readonly ParkedRow[], void> {
  const { store, clock } = deps.runtime
  const { id } = await subscriptionRow(deps, filter.subscription)
  const now = clock.now()
  const since = filter.since === undefined ? Number.NEGATIVE_INFINITY : timeOf(filter.since, now)
  const until = filter.until === undefined ? now : timeOf(filter.until, now)
  const state = filter.state ?? 'dead'
  let left = within('limit', filter.limit ?? 1_000, 1, mostChosen)
  for (let after = 0; left > 0;) {
    const found = await store.read({
      read: 'parked',
      subscription: id,
      ...(state === 'all' ? {} : { state }),
      limit: page,
      after,
    })
    const rows = found.map(readable)
    const chosen = rows.filter((r) => r.since >= since && r.since <= until && fits(r, filter)).slice(0, left)
    left -= chosen.length
    if (chosen.length > 0) yield chosen
    if (rows.length < page) return
    after = rows.at(-1)!.row
  }
}

export async function tally(rows: AsyncIterable<readonly ParkedRow[]>): Promise<Tally> {
  let messages = 0
  const codes: Record<string, number> = {}
  const states: Partial<Record<ParkedState, number>> = {}
  for await (const page of rows) {
    messages += page.length
    for (const row of page) {
      const code = lastCode(row) ?? 'none'
      codes[code] = (codes[code] ?? 0) + 1
      states[row.state] = (states[row.state] ?? 0) + 1
    }
  }
  return { messages, codes, states }
}

export function lastCode(row: Pick<Parked, 'faults'>): string | undefined {
  return row.faults === null ? undefined : (JSON.parse(row.faults) as FaultRecord[]).at(-1)?.code
}

/** The number, if it is a whole one within its bounds. */
export function within(option: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw fault('config.option', {
    message: `${option} is ${String(value)}: pass a whole number from ${least} to ${most}`,
    detail: { option },
  })
}

function fits(row: ParkedRow, { key, code }: ParkedFilter): boolean {
  if (key !== undefined && row.key !== key) return false
  if (code === undefined) return true
  const last = lastCode(row)
  return code.endsWith('*') ? last?.startsWith(code.slice(0, -1)) === true : last === code
}
