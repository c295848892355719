import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fault } from '#kernel/fault.ts'
import { parseJson, type Json } from '#kernel/json.ts'
import { mask } from '#kernel/redact.ts'

/** JSON of a file, or of standard input (`-`). What was shown is masked: written back, the mask would become the data. */
export function readData(path: string): { readonly value: Json } {
  const name = path === '-' ? 'standard input' : resolve(path)
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path === '-' ? 0 : name)
  } catch (cause) {
    throw fault('cli.usage', {
      message: `${name} cannot be read`,
      detail: { fix: 'name a readable JSON file, or -' },
      cause,
    })
  }
  const value = parseJson(bytes)
  if (JSON.stringify(value).includes(mask)) {
    const fix = `put the real value in the place of ${mask}: it stands for what is hidden when data is shown`
    throw fault('cli.usage', { message: `${name} contains ${mask}`, detail: { fix } })
  }
  return { value }
}
