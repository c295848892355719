import { fault } from '#kernel/fault.ts'
import type { App } from '#app/fairlead.ts'
import { operatorName } from './operator.ts'
import { loadProject, type Config, type Project } from './project.ts'

/** The config of a project that may be used; otherwise `config.invalid` with all problems, those of its definitions too. */
export async function soundConfig(project: Project): Promise<Config> {
  if (project.problems.length > 0) {
    const { collect, configFault } = await import('#app/collect.ts')
    const own = project.config.use === undefined ? [] : collect(project.config.use).problems
    throw configFault([...project.problems, ...own])
  }
  return project.config
}

/**
 * Opens the project beside its running app (or without one), to look and to operate: nothing is leased, nothing is handled.
 * What is changed is audited under the name of the user.
 * Rejects with `cli.memory` when there is no store to look into, and with everything that stops a start.
 */
export async function withApp<T>(given: string | undefined, work: (app: App) => Promise<T>): Promise<T> {
  const project = await loadProject(given)
  const { listen: _, ...options } = await soundConfig(project)
  const path = (options.store as { readonly path?: unknown } | undefined)?.path
  if (options.store === undefined || path === ':memory:') {
    throw fault('cli.memory', { detail: { path: project.file } })
  }
  const [{ fairlead }, { jsonLog }] = await Promise.all([import('#app/fairlead.ts'), import('#app/log.ts')])
  await using app = await fairlead({ ...options, log: jsonLog({ least: 'error' }), work: false })
  return await work({ ...app, operations: app.operations.as(operatorName()) })
}
