import { config, data, environment, ignored, manifest, readme, tsconfig } from './folder.ts'
import { api, orders, send } from './program.ts'

/** The files of a new project, by path. `secret` is a Standard Webhooks secret (`whsec_…`); `version` that of this package. */
export function projectFiles(given: {
  readonly name: string
  readonly version: string
  readonly secret: string
}): Readonly<Record<string, string>> {
  return {
    'package.json': manifest(given.name, given.version),
    'tsconfig.json': tsconfig,
    'fairlead.config.ts': config,
    'orders.ts': orders,
    'api.mjs': api,
    'send.mjs': send,
    '.env': environment(given.secret),
    '.gitignore': ignored,
    'data/.gitignore': data,
    'README.md': readme(given.name),
  }
}
