import type { Buffer } from 'node:buffer'

/** https://sqlite.org/fileformat2.html#walformat */
const header = 32
const frameHeader = 24

export type Frame = { readonly at: number; readonly end: number; readonly commits: boolean }

/** The frames of a log that belong to its current run, in order. */
export function frames(wal: Buffer): readonly Frame[] {
  const page = wal.readUInt32BE(8)
  const salt = wal.subarray(16, 24)
  const found: Frame[] = []
  for (let at = header; at + frameHeader + page <= wal.length; at += frameHeader + page) {
    if (!wal.subarray(at + 8, at + 16).equals(salt)) break
    found.push({ at, end: at + frameHeader + page, commits: wal.readUInt32BE(at + 4) > 0 })
  }
  return found
}

export const walHeader = header
