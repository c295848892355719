import { operationsOf } from '#patterns/connections/define.ts'
import { readRow, tokenKeyOf } from '#patterns/connections/auth/oauth/row.ts'
import type { OperationDeps } from './deps.ts'

export type ScopeReport = {
  readonly connection: string
  readonly asked: readonly string[]
  /** As they said; absent when they have not said: then those that were asked for. */
  readonly granted?: readonly string[]
  /** Declared by an operation and not granted: such a call will be refused. */
  readonly missing: readonly string[]
  /** Asked for, and declared by no operation. */
  readonly undeclared: readonly string[]
  /** Declared, but only by operations that have never been called. */
  readonly unused: readonly string[]
}

/**
 * Scopes asked for against scopes used, of every connection with OAuth whose operations declare theirs. "Used" counts from the
 * first run of the app on this store.
 */
export async function scopes(deps: OperationDeps): Promise<readonly ScopeReport[]> {
  const reports: ScopeReport[] = []
  for (const definition of deps.definitions.connections.values()) {
    const { auth } = definition.options
    if (auth?.kind !== 'oauth') continue
    const stored = await deps.journal.keys.get(tokenKeyOf(definition.name))
    const granted = stored ? readRow(stored.value)?.granted : undefined
    const asked = auth.scopes ?? []
    const used = await deps.scopeUse.of(definition.name)
    const operations = operationsOf(definition).map((o) => ({ name: o.name, scopes: o.spec.scopes ?? [] }))
    const declared = new Set(operations.flatMap((o) => o.scopes))
    const called = new Set(operations.filter((o) => Object.hasOwn(used, o.name)).flatMap((o) => o.scopes))
    const had = new Set(granted ?? asked)
    reports.push({
      connection: definition.name,
      asked,
      ...(granted ? { granted } : {}),
      missing: [...declared].filter((s) => !had.has(s)),
      undeclared: asked.filter((s) => !declared.has(s)),
      unused: [...declared].filter((s) => !called.has(s)),
    })
  }
  return reports
}
