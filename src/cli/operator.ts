import { hostname, userInfo } from 'node:os'

/** Who acts, for the audit trail: `anna@host`. A user without a name (in a container, say) is its number. */
export function operatorName(): string {
  let name: string
  try {
    name = userInfo().username
  } catch {
    name = `uid ${process.getuid?.() ?? '?'}`
  }
  return `${name}@${hostname()}`
}

/** Runs `work` with a signal that the first Ctrl-C or SIGTERM aborts, so that it can say how far it came; a second one ends the process. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const ended = new AbortController()
  const end = (): void => {
    process.off('SIGINT', end)
    process.off('SIGTERM', end)
    ended.abort()
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  try {
    return await work(ended.signal)
  } finally {
    process.off('SIGINT', end)
    process.off('SIGTERM', end)
  }
}
