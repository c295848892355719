import { watch as watchFolder } from 'node:fs'
import { join, resolve, sep } from 'node:path'

/** An editor writes a file in several steps, a formatter writes several files: they are one change. */
const quietFor = 100

const folders = ['node_modules', '.git']
/** What a project is made of. A file of another kind in the folder (a log, an export) must not restart what writes it. */
const source = /(?:\.(?:[cm]?[jt]sx?|json|ya?ml|sql)|(?:^|[\\/])\.env)$/

/**
 * Whether a change of this file (relative to the project's folder) may change what runs: source, not below `node_modules`,
 * `.git` or another folder that begins with a full stop, and none of the files that the app writes itself.
 */
export function isEdit(file: string, folder: string, written: readonly string[]): boolean {
  if (!source.test(file)) return false
  const parts = file.split(/[\\/]/)
  if (parts.slice(0, -1).some((part) => folders.includes(part) || part.startsWith('.'))) return false
  const path = resolve(folder, file)
  return !written.some((w) => path === w || path.startsWith(`${w}-`) || path.startsWith(w + sep))
}

/**
 * Calls `edited` after the files of a project have changed and were quiet for 100 ms, with the first changed file. Linux
 * needs one inotify watch a folder; when there are none left, `failed` is told and nothing is watched any more.
 */
export function watchProject(
  folder: string,
  written: () => readonly string[],
  edited: (file: string) => void,
  failed: (e: Error) => void,
): () => void {
  let first: string | undefined
  let timer: NodeJS.Timeout | undefined
  const watcher = watchFolder(folder, { recursive: true, ignore: folders }, (_, file) => {
    if (file === null || !isEdit(file, folder, written())) return
    first ??= join(file)
    clearTimeout(timer)
    timer = setTimeout(() => {
      const file = first!
      first = undefined
      edited(file)
    }, quietFor)
  })
  watcher.on('error', failed)
  return () => {
    clearTimeout(timer)
    watcher.close()
  }
}
