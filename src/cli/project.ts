import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseEnv } from 'node:util'
import type { Options } from '#app/fairlead.ts'
import { checkOptions, type Problem } from '#kernel/definition.ts'
import { fault } from '#kernel/fault.ts'
import { loadFault } from './load-fault.ts'

export type Listen = { readonly port: number; readonly host?: string }

/** What a config module exports: the options of `fairlead()`, and where to listen. */
export type Config = Omit<Options, 'work'> & { readonly listen?: Listen }

export type Project = {
  /** The config module, absolute. */
  readonly file: string
  readonly folder: string
  /** As it was exported: `problems` says whether it may be used. */
  readonly config: Config
  /** What is wrong with the exports themselves; definitions are checked by the app. */
  readonly problems: readonly Problem[]
}

const names = ['fairlead.config.ts', 'fairlead.config.js', 'fairlead.config.mjs']

/** Every option of the app, so that a new one is either accepted here or refused on purpose. */
const accepted = {
  use: true,
  store: true,
  secrets: true,
  log: true,
  grace: true,
  records: true,
  work: false,
} as const satisfies Record<keyof Options, boolean>
const known = [...Object.keys(accepted).filter((k) => accepted[k as keyof Options]), 'listen']

/**
 * The config module of a project: `given`, a file or the folder that holds it, or `fairlead.config.ts|js|mjs` in `folder`.
 * Rejects with `config.module` when there is none, or more than one.
 */
export function findConfig(given: string | undefined, folder: string): string {
  const path = resolve(folder, given ?? '.')
  if (!existsSync(path)) throw missing(`${path} does not exist`, path)
  if (!statSync(path).isDirectory()) {
    if (/\.[cm]?[jt]s$/.test(path)) return path
    throw missing(`${path} is not a module`, path, 'name a .ts, .js or .mjs file')
  }
  const found = names.map((name) => join(path, name)).filter((file) => existsSync(file))
  if (found.length === 1) return found[0]!
  if (found.length > 1) {
    const both = found.map((file) => file.slice(path.length + 1)).join(' and ')
    throw missing(`${path} has ${both}`, path, 'keep one of them, or say which with --config <file>')
  }
  throw missing(
    `there is no ${names[0]!} in ${path}`,
    path,
    'change to the folder of your project, pass --config <file>, or begin a project with `fairlead init`',
  )
}

/**
 * Loads a project. Its folder becomes the working directory, so that a path in it (`sqlite('./data/shop.db')`) means the
 * same file wherever the command is called from; `.env` beside the config fills in environment variables that are not set.
 *
 * The module's named exports are the config; one default export that is an object is accepted instead. Rejects with
 * `config.module`, which names the file, the line where there is one, and the reason.
 */
export async function loadProject(given: string | undefined): Promise<Project> {
  const file = findConfig(given, process.cwd())
  const folder = dirname(file)
  process.chdir(folder)
  loadEnv(join(folder, '.env'))
  let module: Readonly<Record<string, unknown>>
  try {
    module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>
  } catch (e) {
    throw loadFault(e, file)
  }
  return { file, folder, ...readConfig(module) }
}

/** The config in a module's exports, and what is wrong with it: unknown or contradictory exports, `listen`. Pure. */
export function readConfig(module: Readonly<Record<string, unknown>>): Pick<Project, 'config' | 'problems'> {
  // `module.exports` of a CommonJS file arrives under this name too, with each property beside it.
  const { default: whole, 'module.exports': _, ...named } = module
  const other = Object.keys(named).filter(
    (name) => (whole as Record<string, unknown> | undefined)?.[name] !== named[name],
  )
  const problems: Problem[] = []
  if (whole !== undefined && (typeof whole !== 'object' || whole === null)) {
    problems.push({ path: 'config.default', message: 'is not an object', fix: 'export use, store and listen by name' })
  } else if (whole !== undefined && other.length > 0) {
    const fix = 'export everything by name, or everything in the default export'
    problems.push({ path: 'config.default', message: `stands beside ${other.join(', ')}`, fix })
  }
  const config = (typeof whole === 'object' && whole !== null ? { ...whole, ...named } : named) as Record<
    string,
    unknown
  >
  problems.push(...checkOptions('config', config, known), ...listenProblems(config['listen']))
  if (!('use' in config)) {
    problems.push({ path: 'config.use', message: 'is missing', fix: 'export const use = [orders]' })
  }
  return { config: config as Config, problems }
}

function listenProblems(listen: unknown): Problem[] {
  if (listen === undefined) return []
  const problems = checkOptions('config.listen', listen, ['port', 'host'])
  const { port, host } = (typeof listen === 'object' && listen !== null ? listen : {}) as Partial<Listen>
  if (!Number.isInteger(port) || port! < 0 || port! > 65_535) {
    problems.push({
      path: 'config.listen.port',
      message: `is ${String(port)}`,
      fix: 'pass a whole number from 0 to 65535',
    })
  }
  if (host !== undefined && typeof host !== 'string') {
    problems.push({ path: 'config.listen.host', message: 'is not a text', fix: "pass an address, e.g. '0.0.0.0'" })
  }
  return problems
}

/** What is set already stays: the environment of a deployment wins over a file in the folder. */
function loadEnv(path: string): void {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    throw fault('config.module', { message: `${path} cannot be read`, detail: { path }, cause })
  }
  for (const [name, value] of Object.entries(parseEnv(text))) process.env[name] ??= value
}

function missing(message: string, path: string, fix?: string): Error {
  return fault('config.module', { message, detail: { path, ...(fix === undefined ? {} : { fix }) } })
}
