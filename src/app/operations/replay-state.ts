import type { Write } from '#adapters/stores/port.ts'
import { fault } from '#kernel/fault.ts'
import { replayKey, replayPrefix, Replays, type ReplayState } from '#journal/replays.ts'
import type { OperationDeps } from './deps.ts'

/** A replay that has not come to its end, for people. */
export type ReplayStatus = Omit<ReplayState, 'ranges' | 'over'> & {
  readonly messages: number
  readonly started: number
}

export async function replays(deps: OperationDeps): Promise<readonly ReplayStatus[]> {
  const { all } = new Replays(await deps.journal.keys.list(replayPrefix))
  return all.map(({ subscription, topic, by, since, reason, live, ranges }) => ({
    subscription,
    topic,
    by,
    since,
    reason,
    live,
    messages: ranges.reduce((sum, r) => sum + r.below - r.from, 0),
    started: ranges.reduce((sum, r) => sum + r.next - r.from, 0),
  }))
}

/** The replay that is under way, or undefined, and the version of its key. */
export async function lastReplay(
  deps: OperationDeps,
  subscription: string,
): Promise<{ readonly state: ReplayState | undefined; readonly version: number }> {
  const key = await deps.journal.keys.get(replayKey(subscription))
  if (key === null) return { state: undefined, version: 0 }
  const state = JSON.parse(key.value) as ReplayState
  return { state: state.over ? undefined : state, version: key.version }
}

/** As `lastReplay`; `replay.state` when none is under way. */
export async function unfinished(
  deps: OperationDeps,
  subscription: string,
): Promise<{ readonly state: ReplayState; readonly version: number }> {
  const { state, version } = await lastReplay(deps, subscription)
  if (state !== undefined) return { state, version }
  throw fault('replay.state', { message: `no replay of ${subscription} is under way`, detail: { subscription } })
}

/** Everything in one commit, unless somebody has moved the state on since `version`: `journal.conflict`. Resolves to the new version. */
export async function saveReplay(
  deps: OperationDeps,
  state: ReplayState,
  version: number,
  also: readonly Write[],
): Promise<number> {
  const name = replayKey(state.subscription)
  const results = await deps.journal.commit.add(
    {
      guards: [{ guard: 'key', name, version, now: deps.runtime.clock.now() }],
      writes: [...also, { write: 'put', name, value: JSON.stringify(state), expires: null }],
    },
    'durable',
  )
  return Number(results.at(-1))
}
