import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fault } from '#kernel/fault.ts'

/**
 * Writes files below `folder`, all or none: nothing is written when one of them exists (`cli.exists`), and when writing
 * fails in the middle (a full or read-only disk) what was written is taken away again.
 */
export function writeNew(folder: string, files: Readonly<Record<string, string>>): void {
  const paths = Object.keys(files)
  const taken = paths.filter((path) => lstatSync(join(folder, path), { throwIfNoEntry: false }) !== undefined)
  if (taken.length > 0) {
    throw fault('cli.exists', {
      message: `${folder} has ${taken.join(', ')}; nothing was written`,
      detail: { path: folder, fix: 'choose an empty folder: fairlead init <folder>' },
    })
  }
  const made: string[] = []
  try {
    for (const path of paths) {
      const target = join(folder, path)
      const first = mkdirSync(dirname(target), { recursive: true })
      if (first !== undefined) made.push(first)
      // The secret is for its owner.
      writeFileSync(target, files[path]!, { flag: 'wx', mode: path === '.env' ? 0o600 : 0o666 })
      made.push(target)
    }
  } catch (cause) {
    for (const path of made.toReversed()) rmSync(path, { recursive: true, force: true })
    throw fault('cli.write', {
      message: `${folder} cannot be written; nothing was left behind`,
      detail: { path: folder },
      cause,
    })
  }
}
