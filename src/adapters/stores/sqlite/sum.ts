import { crc32 } from 'node:zlib'

/** What a column of ours can hold. A bigint was never written by us. */
export type Column = string | number | bigint | Uint8Array | null

/**
 * The checksum of a message at its place in the log (decision 0014): CRC-32 over its texts, seeded with everything that is
 * not text and with the lengths of what is. Place and time go in by steps that can be undone, so one flipped bit, wherever
 * it is, never fits; nor up to 32 neighbouring ones within the texts. Anything else fits once in 4 thousand million.
 *
 * One call over one string: on the way in and out of the log this is 4 % of a message.
 */
export function messageSum(
  position: number,
  time: number,
  id: string,
  key: string | null,
  meta: string | null,
  body: string | Uint8Array,
): number {
  let seed = mix(mix(0x464c4431, position), time)
  seed = step(seed, id.length)
  seed = step(seed, key === null ? -1 : key.length)
  seed = step(seed, meta === null ? -1 : meta.length)
  // The zeros between keep half a surrogate pair at an end from finding its other half in what follows.
  const text = `${id}\0${key ?? ''}\0${meta ?? ''}\0`
  if (typeof body === 'string') return crc32(text + body, step(seed, body.length) >>> 0) | 0
  return crc32(body, crc32(text, step(seed, -1 - body.length) >>> 0)) | 0
}

/** The checksum of any other row: over its columns, each with its kind and length, seeded with the name of its table. */
export function rowSum(table: string, columns: readonly Column[]): number {
  let sum = crc32(table)
  for (const c of columns) {
    if (c === null) sum = step(sum, 1)
    else if (typeof c === 'number') sum = mix(step(sum, Number.isInteger(c) ? 2 : 3), c)
    else if (typeof c === 'string') sum = crc32(c, step(step(sum, 4), c.length) >>> 0)
    else if (typeof c === 'bigint') sum = crc32(String(c), step(sum, 5) >>> 0)
    else sum = crc32(c, step(step(sum, 6), c.length) >>> 0)
  }
  return sum | 0
}

/** What is left of a text. */
export function textOf(value: Column): string | null {
  if (value === null) return null
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value)
}

/** What is left of a body. */
export function bodyOf(value: Column): string | Uint8Array {
  return value instanceof Uint8Array ? value : String(value ?? '')
}

/** Whether the row is as it was written. Without a checksum it was written by a version that knew none, and is taken as it is. */
export function fits(sum: Column | undefined, expected: number): boolean {
  return sum === expected || sum === null
}

/** A checksum that does not fit: for what is known to be damaged and is written all the same. */
export function unfit(sum: number): number {
  return ~sum
}

/** For given `h` another result for each `x`, and the other way round. */
function step(h: number, x: number): number {
  return Math.imul(h ^ x, 0x9e3779b1)
}

function mix(h: number, n: number): number {
  return step(step(h, n | 0), (n / 4294967296) | 0)
}
