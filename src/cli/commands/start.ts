import { fault } from '#kernel/fault.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, whole } from '../command.ts'
import { loadProject, type Listen } from '../project.ts'
import { jsonLine } from '../render.ts'
import { soundConfig } from '../with-app.ts'

export type ListenOptions = { readonly port?: number; readonly host?: string }

export const start: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Run until SIGTERM or Ctrl-C, then drain: what runs may end, cursors are saved. A second signal ends at once.',
      )
      .option(
        '-p, --port <number>',
        'listen here rather than where the config says; 0 takes a free one',
        whole(0, 65_535),
      )
      .option('--host <address>', 'default 127.0.0.1: nothing is reachable from another machine'),
    'fairlead start --port 8080',
  ).action(async (options: ProjectOptions & ListenOptions) => {
    const { listen, ...app } = await soundConfig(await loadProject(options.config))
    const { fairlead } = await import('#app/fairlead.ts')
    const asked = stopSignal(() => {
      if (terminal.width !== undefined) terminal.err('draining: what runs may end; once more ends it at once')
    })
    await using running = await fairlead(app)
    const at = listenAt(listen, options)
    const bound = at && (await running.listen(at))
    const ended = running.run({ signal: asked })
    if (options.json) terminal.out(jsonLine({ url: bound?.url ?? null, port: bound?.port ?? null, pid: process.pid }))
    else
      terminal.out(
        bound
          ? `fairlead listens on ${bound.url}`
          : 'fairlead runs; it listens nowhere: the config exports no `listen`',
      )
    await ended
  })

/** Where to listen: the command line over the config; nowhere when neither says a port. */
export function listenAt(listen: Listen | undefined, { port, host }: ListenOptions): Listen | undefined {
  const chosen = port ?? listen?.port
  if (chosen === undefined) {
    if (host === undefined) return undefined
    throw fault('cli.usage', {
      message: '--host goes with a port',
      detail: { fix: 'add --port, or export `listen` from the config' },
    })
  }
  const address = host ?? listen?.host
  return { port: chosen, ...(address === undefined ? {} : { host: address }) }
}

/**
 * Aborted by the first SIGTERM or SIGINT, which may come while the store is opened and work begins: it is drained like any
 * other. After it the system's own handling is back, so that a second signal ends the process at once.
 */
function stopSignal(tell: () => void): AbortSignal {
  const asked = new AbortController()
  const stop = (): void => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, stop)
    tell()
    asked.abort()
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
  return asked.signal
}
