import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { fault } from '#kernel/fault.ts'
import { inspect, type Found } from './file.ts'

/** What stands at a path already; undefined where nothing does. */
export function standing(path: string): { readonly text: string; readonly found: Found } | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw fault('cli.write', { message: `${path} cannot be read`, detail: { path }, cause })
  }
  return { text, found: inspect(text) }
}

/** Replaces files, each in one step: a full disk or a crash leaves the old one or the new one, never half of it. */
export function replace(files: Readonly<Record<string, string>>): void {
  const staged: [string, string][] = []
  try {
    for (const [path, text] of Object.entries(files)) {
      const beside = `${path}.${process.pid}.new`
      staged.push([beside, path])
      writeFileSync(beside, text, { flag: 'wx' })
    }
    for (const [beside, path] of staged) renameSync(beside, path)
  } catch (cause) {
    for (const [beside] of staged) rmSync(beside, { force: true })
    const path = Object.keys(files)[0]!
    throw fault('cli.write', { message: `${path} cannot be written`, detail: { path }, cause })
  }
}
