/** What the engine says about itself: the part of `app.operations` that the view and the audit use. */
export type EngineReport = {
  readonly topics: readonly { readonly name: string; readonly messages: number }[]
  readonly subscriptions: readonly {
    readonly name: string
    readonly topic: string
    readonly lag: number
    readonly parked: Readonly<Record<ParkedState, number>>
  }[]
  readonly connections: readonly { readonly name: string; readonly breaker: string; readonly running: number }[]
}

export type ParkedState = 'retry' | 'held' | 'behind' | 'dead'

export type ParkedReport = {
  readonly subscription: string
  /** The message's partition key. */
  readonly key: string
  readonly state: ParkedState
  readonly attempts: number
  readonly code: string
  readonly message: string
}

/** Messages that are neither done nor in their final place. 0 when everything has been worked off. */
export function unsettled(report: EngineReport): number {
  return report.subscriptions.reduce((n, s) => n + s.lag + s.parked.retry + s.parked.held, 0)
}
