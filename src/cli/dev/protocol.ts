import type { ChaosRule } from '#app/http/chaos.ts'
import type { Status } from '#app/operations/status.ts'

/** What the running app tells `fairlead dev` over its IPC channel. */
export type Told =
  | {
      readonly told: 'running'
      readonly url: string | null
      /** Files that the app itself writes, absolute: a change of them is no edit. */
      readonly written: readonly string[]
      /** Milliseconds that it may take to drain. */
      readonly grace: number
    }
  | { readonly told: 'status'; readonly status: Status }

/** What `fairlead dev` tells it. That the channel closes means the same. */
export type Order = { readonly order: 'stop' }

/** How the app is to be run: the arguments of `child.ts`, as JSON. */
export type Plan = {
  readonly config?: string
  readonly port?: number
  readonly host?: string
  /** What goes wrong with calls to others. */
  readonly chaos?: readonly ChaosRule[]
  /** Whether the status is wanted, once a second. */
  readonly watched: boolean
}
