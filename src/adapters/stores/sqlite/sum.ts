/** What a column of ours can hold. A bigint was never written by us. */
export type Column = string | number | bigint | Uint8Array | null

/**
 * The checksum of a message at its place in the log (decision 0014): over its texts, seeded with everything that is not text and with the
 * lengths of what is. Each step can be undone, so one flipped bit, wherever it is, never fits, nor any change within four bytes that
 * stand together; anything else fits once in 4 thousand million.
 *
 * It is on the way of every message into the log and out of it. `zlib.crc32` over the same text takes 270 ns, this 190.
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
  // The zeros between keep half a surrogate pair at an end from finding its other half in what follows. The body is not copied.
  const text = `${id}\0${key ?? ''}\0${meta ?? ''}`
  if (typeof body === 'string') return hashText(hashText(step(seed, body.length), text), body) || 1
  return hashBytes(hashText(step(seed, -1 - body.length), text), body) || 1
}

/** The checksum of any other row: over its columns, each with its kind and length, seeded with the name of its table. */
export function rowSum(table: string, columns: readonly Column[]): number {
  let sum = hashText(0, table)
  for (const c of columns) {
    if (c === null) sum = step(sum, 1)
    else if (typeof c === 'number') sum = mix(step(sum, Number.isInteger(c) ? 2 : 3), c)
    else if (typeof c === 'string') sum = hashText(step(step(sum, 4), c.length), c)
    else if (typeof c === 'bigint') sum = hashText(step(sum, 5), String(c))
    else sum = hashBytes(step(step(sum, 6), c.length), c)
  }
  return sum || 1
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

/**
 * Whether the row is as it was written. 0 says that a person has looked at it and takes it as it is; no row has it of itself. A checksum that is
 * not there says nothing: one flipped bit in the head of a row takes away the last columns and moves all the others.
 */
export function fits(sum: Column | undefined, expected: number): boolean {
  return sum === expected || sum === 0
}

/** A checksum that does not fit: for what is known to be damaged and is written all the same. */
export function unfit(sum: number): number {
  return ~sum || 1
}

/** Characters, and bytes, at once: a character takes at most three. */
const piece = 16_384
const encoder = new TextEncoder()
const bytes = new Uint8Array(piece * 3 + 4)
const words = new Int32Array(bytes.buffer)

/** Over the text as SQLite keeps it, in UTF-8. */
function hashText(seed: number, text: string): number {
  if (text.length <= piece) return hash(seed, encoder.encodeInto(text, bytes).written)
  let h = seed
  for (let i = 0; i < text.length; i += piece) h = hash(h, encoder.encodeInto(text.slice(i, i + piece), bytes).written)
  return h
}

function hashBytes(seed: number, of: Uint8Array): number {
  let h = seed
  for (let i = 0; i < of.length; i += piece) {
    const part = of.subarray(i, i + piece)
    bytes.set(part)
    h = hash(h, part.length)
  }
  return h
}

/**
 * Over the first `length` bytes, in the rounds of XXH32 (https://github.com/Cyan4973/xxHash): four lanes of words beside each other. The last
 * word is filled up with zeros, and the length goes in. Words are read as this machine has them, as are those of `fl_seen`: a store does not
 * move between machines of different byte order.
 */
function hash(seed: number, length: number): number {
  bytes[length] = bytes[length + 1] = bytes[length + 2] = bytes[length + 3] = 0
  const end = (length + 3) >> 2
  let a = seed
  let b = ~seed
  let c = seed ^ p2
  let d = seed ^ p1
  let i = 0
  for (; i + 3 < end; i += 4) {
    a = round(a, words[i]!)
    b = round(b, words[i + 1]!)
    c = round(c, words[i + 2]!)
    d = round(d, words[i + 3]!)
  }
  for (; i < end; i++) a = round(a, words[i]!)
  return step(step(step(step(a, b), c), d), length)
}

const p1 = 0x9e3779b1
const p2 = 0x85ebca77

function round(lane: number, word: number): number {
  const x = (lane + Math.imul(word, p2)) | 0
  return Math.imul((x << 13) | (x >>> 19), p1)
}

/** For given `h` another result for each `x`, and the other way round. */
function step(h: number, x: number): number {
  const y = h ^ x
  return Math.imul((y << 15) | (y >>> 17), p1)
}

function mix(h: number, n: number): number {
  return step(step(h, n | 0), (n / 4294967296) | 0)
}
