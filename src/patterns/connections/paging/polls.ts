import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import { isTooOften } from './polling.ts'

/** What the polls of one operation have come to, of this process and since it was opened, over all inputs. Plain JSON. */
export type PollState = {
  readonly operation: string
  /** Under way now. */
  readonly running: number
  /** Answered, changed or not. */
  readonly polls: number
  readonly changes: number
  /** Of the polls, those answered 304: nothing was sent but the question. */
  readonly unmodified: number
  readonly failed: number
  /** Milliseconds: of the one that polled last. */
  readonly interval: number
  /** It was warned that this polls far more often than the data changes. */
  readonly tooOften?: true
}

type Counted = {
  readonly state: { -readonly [K in keyof PollState]: PollState[K] }
  /** Monotonic. */
  readonly from: number
}

export type Poll = {
  polled(was: 'first' | 'changed' | 'same' | 'failed', unmodified: boolean, interval: number): void
  ended(): void
}

/** Counts the polls of one connection, operation by operation, and warns of each once when they are far too many. */
export class Polls {
  readonly #connection: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #operations = new Map<string, Counted>()

  constructor(connection: string, { clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#connection = connection
    this.#clock = clock
    this.#log = log
  }

  begin(operation: string): Poll {
    const none = { operation, running: 0, polls: 0, changes: 0, unmodified: 0, failed: 0, interval: 0 }
    const counted: Counted = this.#operations.get(operation) ?? { state: none, from: this.#clock.mono() }
    const { state } = counted
    this.#operations.set(operation, counted)
    state.running++
    return {
      polled: (was, unmodified, interval) => {
        state.interval = interval
        if (was === 'failed') return void state.failed++
        state.polls++
        if (was === 'changed') state.changes++
        if (unmodified) state.unmodified++
        if (!state.tooOften && isTooOften(state.polls, state.changes)) this.#warn(counted)
      },
      ended: () => void state.running--,
    }
  }

  /** Undefined when nothing was ever polled. */
  state(): readonly PollState[] | undefined {
    if (this.#operations.size === 0) return undefined
    return [...this.#operations.values()].map((c) => ({ ...c.state }))
  }

  #warn({ state, from }: Counted): void {
    state.tooOften = true
    const { operation, polls, changes, unmodified, interval } = state
    this.#log.write('warn', 'connection.polls', {
      connection: this.#connection,
      operation,
      polls,
      changes,
      unmodified,
      interval,
      changeEvery: changes === 0 ? undefined : Math.round((this.#clock.mono() - from) / changes),
      message: `${polls} polls saw ${changes} changes: a longer \`every\` or \`most\` would do, or a webhook`,
    })
  }
}
