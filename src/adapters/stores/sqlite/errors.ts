import { fault, isFault, type Fault } from '#kernel/fault.ts'
import type { Code } from '#kernel/codes.ts'

/** SQLite result codes (https://sqlite.org/rescode.html), low byte. */
const codes: Readonly<Record<number, Code>> = {
  5: 'store.busy',
  6: 'store.busy',
  8: 'store.readonly',
  10: 'store.broken',
  11: 'store.corrupt',
  13: 'store.full',
  14: 'store.open',
  26: 'store.corrupt',
}

export function primaryCode(e: unknown): number | undefined {
  const code = typeof e === 'object' && e !== null ? (e as { errcode?: unknown }).errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
}

/** What SQLite or the file system threw, as a fault that names the file. */
export function storeFault(e: unknown, path: string, otherwise: Code = 'store.broken'): Fault {
  if (isFault(e)) return e
  const code = primaryCode(e)
  const system = (e as { code?: unknown }).code
  const row =
    code !== undefined && codes[code] !== undefined
      ? codes[code]
      : system === 'ENOSPC'
        ? 'store.full'
        : system === 'EROFS' || system === 'EACCES'
          ? 'store.readonly'
          : otherwise
  return fault(row, { cause: e, detail: { path, ...(code === undefined ? {} : { sqlite: code }) } })
}
