import type { StoredEnding } from '#patterns/connections/endings/watch.ts'
import type { OperationDeps } from './deps.ts'

/** Something that others will stop. `operation` is absent for the declared end of an API version. */
export type ShownEnding = Omit<StoredEnding, 'operation' | 'first' | 'last'> & {
  readonly operation?: string
  /** The version that ends, where it was declared by hand. */
  readonly version?: string
  readonly first?: string
  readonly last?: string
  /** Whole days until it ends; negative when it has. */
  readonly days?: number
}

/** Deprecated operations that are in use (said by answers of the last 90 days), and declared ends of API versions, the nearest end first. */
export async function endings({ runtime, journal, definitions }: OperationDeps): Promise<readonly ShownEnding[]> {
  const now = runtime.clock.now()
  const found: ShownEnding[] = (await journal.keys.list('ending/')).map((k) => JSON.parse(k.value) as StoredEnding)
  for (const { name, options } of definitions.connections.values()) {
    const { value, ends } = options.apiVersion ?? {}
    if (value !== undefined && ends !== undefined)
      found.push({ connection: name, version: value, sunset: new Date(Date.parse(ends)).toISOString() })
  }
  return found
    .map((e) => (e.sunset === undefined ? e : { ...e, days: Math.ceil((Date.parse(e.sunset) - now) / 86_400_000) }))
    .sort(
      (a, b) =>
        (a.days ?? Number.POSITIVE_INFINITY) - (b.days ?? Number.POSITIVE_INFINITY) ||
        a.connection.localeCompare(b.connection),
    )
}
