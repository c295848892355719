import { fault } from '#kernel/fault.ts'
import { breakerPrefix } from '#patterns/connections/fleet/breaker.ts'
import { byHand } from '#patterns/connections/fleet/shown.ts'
import { audit, reasonOf, type OperationDeps } from './deps.ts'

/**
 * Opens the breaker of a connection by hand, in all processes within a second and across restarts: nothing is sent to it
 * until it is closed by hand. Messages that need it are held and burn no attempt. Idempotent: the later reason stands.
 */
export async function isolate(
  deps: OperationDeps,
  connection: string,
  options: { readonly reason?: string } = {},
): Promise<void> {
  await decide(deps, connection, 'isolated', reasonOf(options.reason))
}

/** Closes it by hand, isolated or open, and forgets what was counted: the next calls are sent. Idempotent. */
export async function closeBreaker(
  deps: OperationDeps,
  connection: string,
  options: { readonly reason?: string } = {},
): Promise<void> {
  await decide(deps, connection, 'closed', reasonOf(options.reason))
}

async function decide(deps: OperationDeps, name: string, to: 'isolated' | 'closed', reason: string): Promise<void> {
  const { clock } = deps.runtime
  // The name, if it exists: isolating something misspelled would stop nothing, and say nothing.
  const open = deps.connections.get(name)
  if (open === undefined)
    throw fault('app.unknown', {
      message: `there is no connection "${name}"`,
      detail: { connection: name, known: [...deps.connections.keys()].slice(0, 50) },
    })
  await deps.journal.commit.add(
    {
      writes: [
        { write: 'put', name: breakerPrefix + name, value: byHand(to, deps.by, clock.now(), reason), expires: null },
        audit(deps, to === 'isolated' ? 'isolate' : 'close-breaker', `connection/${name}`, { reason }),
      ],
    },
    'durable',
  )
  // Here at once: the others see the key.
  open.breaker(to)
}
