import type { Definitions } from '#app/collect.ts'
import type { Problem } from '#kernel/definition.ts'
import { fault, isFault } from '#kernel/fault.ts'
import { manifest } from '#kernel/manifest.ts'
import type { Runtime } from '#kernel/runtime.ts'
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
    const outside = await outsideOf(project.config)
    const use = project.config.use ?? []
    const problems = await loadDocuments(collect(use).definitions, outside)
    // Collected again: a mapping whose document has been read now is checked with it.
    const found = collect(use)
    problems.unshift(...project.problems, ...found.problems)
    if (options.secrets) problems.push(...(await secretProblems(found.definitions, outside)))
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

type Outside = Pick<Runtime, 'files' | 'secrets'>

async function outsideOf(config: Config): Promise<Outside> {
  const [{ systemRuntime }, { jsonLog }] = await Promise.all([import('#app/runtime.ts'), import('#app/log.ts')])
  const http = { send: () => Promise.reject(fault('bug', { message: 'a check sends nothing' })) }
  return systemRuntime({ http, log: jsonLog(), ...(config.secrets ? { secrets: config.secrets } : {}) })
}

/** Reads the documents that mappings name, as a start does: a missing file is found here already. */
async function loadDocuments(definitions: Definitions, { files }: Outside): Promise<Problem[]> {
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

async function secretProblems(definitions: Definitions, { secrets }: Outside): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const name of definitions.secrets) {
    try {
      await secrets.read(name)
    } catch (e) {
      problems.push({ path: `secret(${name})`, message: said(e), fix: `set ${name}` })
    }
  }
  return problems
}

function said(e: unknown): string {
  return isFault(e) ? e.message : 'cannot be read'
}
