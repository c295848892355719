import type { Definitions } from '#app/collect.ts'
import type { Problem } from '#kernel/definition.ts'
import { isFault } from '#kernel/fault.ts'
import { manifest } from '#kernel/manifest.ts'
import type { Files } from '#kernel/runtime.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { loadProject, type Config } from '../project.ts'
import { counted, jsonLine } from '../render.ts'

export const check: Declare = (command, terminal) =>
  aboutProject(
    command
      .description('Check all definitions, each alone and all together. Nothing is started, no store is opened.')
      .option('--secrets', 'also read every secret that a definition names'),
    'fairlead check',
  ).action(async (options: ProjectOptions & { readonly secrets?: boolean }) => {
    const project = await loadProject(options.config)
    const { collect, configFault } = await import('#app/collect.ts')
    const { systemFiles } = await import('#app/runtime.ts')
    const use = project.config.use ?? []
    const problems = await loadDocuments(collect(use).definitions, systemFiles)
    // Collected again: a mapping whose document has been read now is checked with it.
    const found = collect(use)
    problems.unshift(...project.problems, ...found.problems)
    if (options.secrets) problems.push(...(await secretProblems(found.definitions, project.config)))
    if (problems.length > 0) throw configFault(problems)
    const sizes = kinds
      .map(([kind, noun]) => [found.definitions[kind].size, noun] as const)
      .filter(([size]) => size > 0)
    if (!options.json) {
      return terminal.out(
        `No problems: ${sizes.map(([size, noun]) => counted(size, noun)).join(', ') || 'no definitions'}.`,
      )
    }
    const definitions = kinds.flatMap(([kind]) => [...found.definitions[kind].values()].map(manifest))
    terminal.out(jsonLine({ config: project.file, definitions, secrets: [...found.definitions.secrets] }))
  })

/** A kind that the app gains does not compile here until it is listed. */
const nouns = {
  connections: 'connection',
  webhooks: 'webhook',
  topics: 'topic',
  subscriptions: 'subscription',
  mappings: 'mapping',
} as const satisfies Record<Exclude<keyof Definitions, 'secrets'>, string>
const kinds = Object.entries(nouns) as [keyof typeof nouns, string][]

/** Reads the documents that mappings name, as a start does: a missing file is found here already. */
async function loadDocuments(definitions: Definitions, files: Files): Promise<Problem[]> {
  const { loadMapping } = await import('#patterns/mappings/define.ts')
  const problems: Problem[] = []
  for (const mapping of definitions.mappings.values()) {
    try {
      await loadMapping(mapping, files)
    } catch (e) {
      const fix = 'correct the path; it is relative to the folder of the config'
      problems.push({ path: `mapping(${mapping.name}).document`, message: said(e), fix })
    }
  }
  return problems
}

/** Reads each secret from where the app would read it: a vault is logged in to, and logged out of. */
async function secretProblems(definitions: Definitions, config: Config): Promise<Problem[]> {
  const [{ systemClock, systemRuntime }, { jsonLog }, { openSecrets, trustOfSource }, { lazyClient }] =
    await Promise.all([
      import('#app/runtime.ts'),
      import('#app/log.ts'),
      import('#app/secrets.ts'),
      import('#app/http/lazy-client.ts'),
    ])
  const http = lazyClient({ clock: systemClock, trust: (pool) => trustOfSource(config.secrets, pool) })
  const problems: Problem[] = []
  try {
    const { secrets, close } = await openSecrets(
      config.secrets,
      systemRuntime({ http, log: jsonLog({ least: 'error' }) }),
    )
    for (const name of definitions.secrets) {
      try {
        await secrets.read(name)
      } catch (e) {
        problems.push({ path: `secret(${name})`, message: said(e), fix: `set ${name}` })
      }
    }
    await close()
  } catch (e) {
    problems.push({ path: 'secrets', message: said(e), fix: 'correct the source of secrets in the config' })
  } finally {
    await http.close()
  }
  return problems
}

function said(e: unknown): string {
  return isFault(e) ? e.message : 'cannot be read'
}
