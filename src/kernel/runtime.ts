import type { Clock } from './clock.ts'
import type { HttpOut } from './http.ts'
import type { Ids } from './id.ts'
import type { Log } from './log.ts'
import type { Random } from './random.ts'
import type { Redactor } from './redact.ts'
import type { Secrets } from './secret.ts'

/**
 * The one door through which everything that is not decided by our own code enters the core (law, DESIGN §3): a
 * simulation that owns these owns every completion and can replay a run from its seed. `app/` builds the real one,
 * `testing/` the virtual one. `Store` is a parameter because its port lives in a room to the right of the kernel.
 */
export type Runtime<Store = unknown> = {
  readonly clock: Clock
  readonly random: Random
  readonly ids: Ids
  readonly http: HttpOut
  readonly files: Files
  readonly secrets: Secrets
  readonly log: Log
  readonly redact: Redactor
  readonly host: Host
  readonly store: Store
}

/** Who we are among the processes that share a store. */
export type Host = {
  readonly name: string
  readonly pid: number
  /** Whether a process of this host is running; may be true for a stranger that got the number later. */
  alive(pid: number): boolean
}

export interface Files {
  /** Whole file as text. Rejects with the system's error. */
  read(path: string | URL): Promise<string>
  /** What the path leads to, links followed. Rejects with the system's error. */
  stat(path: string | URL): Promise<FileStat>
}

export type FileStat = {
  readonly kind: 'file' | 'folder' | 'other'
  readonly bytes: number
  /** Permission bits (`0o640`); undefined where the system has none. */
  readonly mode: number | undefined
}
