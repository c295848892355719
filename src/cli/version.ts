import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

let found: string | undefined

/** The version of this package: its package.json stands one folder above the code when installed, two in a checkout. */
export function version(): string {
  for (let folder = import.meta.dirname; found === undefined; folder = dirname(folder)) {
    try {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name?: string
        version?: string
      }
      if (manifest.name === 'fairlead') found = manifest.version
    } catch {
      // Not here: further up.
    }
    if (folder === dirname(folder)) found ??= 'unknown'
  }
  return found
}
