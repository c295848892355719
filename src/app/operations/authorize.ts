import { fault } from '#kernel/fault.ts'
import type { Link } from '#patterns/connections/auth/oauth/authorization.ts'
import { readRow, tokenKeyOf } from '#patterns/connections/auth/oauth/row.ts'
import { audit, type OperationDeps } from './deps.ts'

export type AuthorizationStatus = {
  readonly connection: string
  /** `none`: no token yet. `unauthorized`: their server refuses us, or the authorisation was withdrawn: work is held. */
  readonly state: 'none' | 'valid' | 'unauthorized'
  /** RFC 3339, as the next one. */
  readonly since?: string
  /** Of the token; it is renewed long before. */
  readonly ends?: string
  readonly error?: string
  /** Only a person can help: `fairlead authorize <connection>`. */
  readonly person: boolean
}

/**
 * A link that lets a person authorise a connection, once and within 10 minutes, in the browser that opens it. The running app
 * serves it, under the address of `redirectUri`.
 */
export async function authorize(deps: OperationDeps, connection: string): Promise<Link> {
  const authorization = deps.connections.get(connection)?.authorization
  if (!authorization) {
    const known = [...deps.connections.values()].flatMap((c) => (c.authorization ? [c.state().name] : []))
    throw fault('app.unknown', {
      message: `there is no connection "${connection}" that a person authorises`,
      detail: { connection, known },
    })
  }
  const link = await authorization.link(deps.by)
  await deps.journal.commit.add({ writes: [audit(deps, 'authorize', `connection/${connection}`)] }, 'durable')
  return link
}

/** The tokens of connections with OAuth, out of the store. Those without a `tokenKey` are known here only when they are refused. */
export async function authorizations(deps: OperationDeps): Promise<readonly AuthorizationStatus[]> {
  const found: AuthorizationStatus[] = []
  for (const { name, options } of deps.definitions.connections.values()) {
    const { auth } = options
    if (auth?.kind !== 'oauth') continue
    const stored = await deps.journal.keys.get(tokenKeyOf(name))
    const row = stored ? readRow(stored.value) : undefined
    const person = auth.grant === 'authorization_code' && row?.sealed === undefined
    const time = (ms: number): string => new Date(ms).toISOString()
    found.push({
      connection: name,
      state: row?.state ?? 'none',
      ...(row ? { since: time(row.since) } : {}),
      ...(row?.ends === undefined ? {} : { ends: time(row.ends) }),
      ...(row?.error === undefined ? {} : { error: row.error }),
      person,
    })
  }
  return found
}
