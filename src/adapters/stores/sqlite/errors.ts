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

/** SQLITE_IOERR_SHMSIZE: the index of the log could not be made larger, which is how a full disk shows itself first. */
const noRoomForIndex = 4_874

/** What only a statement or value of ours can cause: the store is as good as before. */
const ours: ReadonlySet<number> = new Set([1, 19, 20, 21, 25])

/** What SQLite or the file system threw, as a fault that names the file. */
export function storeFault(e: unknown, path: string, otherwise?: Code): Fault {
  if (isFault(e)) return e
  const sqlite = primaryCode(e)
  return fault(codeOf(e, otherwise), { cause: e, detail: { path, ...(sqlite === undefined ? {} : { sqlite }) } })
}

function codeOf(e: unknown, otherwise: Code | undefined): Code {
  const sqlite = primaryCode(e)
  const { code, errcode, errno } = e as { code?: unknown; errcode?: unknown; errno?: unknown }
  // Node refuses to read a number beyond 2^53: we never wrote one.
  if (code === 'ERR_OUT_OF_RANGE') return 'store.corrupt'
  if (errcode === noRoomForIndex || code === 'ENOSPC') return 'store.full'
  if (code === 'EROFS' || code === 'EACCES') return 'store.readonly'
  if (sqlite !== undefined && codes[sqlite] !== undefined) return codes[sqlite]
  if (otherwise !== undefined) return otherwise
  // Neither of SQLite nor of the system: an argument that Node refused, or our own code.
  const known = sqlite === undefined ? errno !== undefined : !ours.has(sqlite)
  return known ? 'store.broken' : 'bug'
}
