import type { OperationDeps } from './deps.ts'

export type TrailEntry = {
  readonly time: string
  readonly verb: string
  readonly subject: string
  readonly by: string
  readonly [detail: string]: unknown
}

/** What operators changed, newest first: when, who, what, why. Default 100, at most 1,000; entries are kept a year. */
export async function trail(deps: OperationDeps, limit = 100): Promise<readonly TrailEntry[]> {
  const rows = await deps.runtime.store.read({ read: 'audit', limit: Math.min(1_000, limit) })
  return rows.map(({ time, verb, subject, detail, damage }) => ({
    by: '',
    ...(damage === undefined ? (JSON.parse(detail) as object) : { damaged: true, detail }),
    time: new Date(Number.isSafeInteger(time) && Math.abs(time) <= 8.64e15 ? time : 0).toISOString(),
    verb,
    subject,
  }))
}
