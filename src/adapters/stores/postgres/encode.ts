import { Buffer } from 'node:buffer'

/** Types that array parameters are made of, as PostgreSQL numbers them (pg_type.dat). */
const int4 = 23
const int8 = 20
const text = 25
const bytea = 17

/**
 * Array parameters in PostgreSQL's binary format (array_recv): nothing is quoted on our side nor parsed on theirs. As text,
 * with every quote of every JSON body escaped, encoding alone took longer than the insert.
 */
export function int4Array(values: readonly (number | null)[]): Buffer {
  const out = begin(values.length, int4, values.length * 8)
  let at = 20
  for (const v of values) {
    if (v === null) {
      at = out.writeInt32BE(-1, at)
      continue
    }
    at = out.writeInt32BE(4, at)
    at = out.writeInt32BE(v, at)
  }
  return out.subarray(0, at)
}

/** Safe integers. */
export function int8Array(values: readonly (number | null)[]): Buffer {
  const out = begin(values.length, int8, values.length * 12)
  let at = 20
  for (const v of values) {
    if (v === null) {
      at = out.writeInt32BE(-1, at)
      continue
    }
    at = out.writeInt32BE(8, at)
    at = out.writeInt32BE(Math.floor(v / 4_294_967_296), at)
    at = out.writeUInt32BE(v >>> 0, at)
  }
  return out.subarray(0, at)
}

export function textArray(values: readonly (string | null)[]): Buffer {
  let bytes = 0
  for (const v of values) bytes += 4 + (v === null ? 0 : v.length * 3)
  const out = begin(values.length, text, bytes)
  let at = 20
  for (const v of values) {
    if (v === null) {
      at = out.writeInt32BE(-1, at)
      continue
    }
    const length = out.write(escapeText(v), at + 4)
    out.writeInt32BE(length, at)
    at += 4 + length
  }
  return out.subarray(0, at)
}

export function byteaArray(values: readonly (Uint8Array | null)[]): Buffer {
  let bytes = 0
  for (const v of values) bytes += 4 + (v?.length ?? 0)
  const out = begin(values.length, bytea, bytes)
  let at = 20
  for (const v of values) {
    at = out.writeInt32BE(v === null ? -1 : v.length, at)
    if (v === null) continue
    out.set(v, at)
    at += v.length
  }
  return out
}

/** One dimension from 1; with room for `bytes` of elements. */
function begin(length: number, type: number, bytes: number): Buffer {
  const out = Buffer.allocUnsafe(20 + bytes)
  out.writeInt32BE(1, 0)
  out.writeInt32BE(1, 4)
  out.writeInt32BE(type, 8)
  out.writeInt32BE(length, 12)
  out.writeInt32BE(1, 16)
  return out
}

/**
 * PostgreSQL's text cannot hold U+0000, other people's ids and keys can. U+0001 is the escape: 0 follows for U+0000, 1 for
 * itself. Nearly every text has neither.
 */
export function escapeText(value: string): string {
  if (!value.includes('\u0000') && !value.includes('\u0001')) return value
  return value.replaceAll('\u0001', '\u00011').replaceAll('\u0000', '\u00010')
}

export function unescapeText(value: string): string {
  if (!value.includes('\u0001')) return value
  return value.replaceAll('\u00010', '\u0000').replaceAll('\u00011', '\u0001')
}

/** JSON whose strings are escaped like texts. */
export function escapedJson(value: unknown): string {
  const json = JSON.stringify(value)
  if (!json.includes('\\u0000') && !json.includes('\\u0001')) return json
  return JSON.stringify(value, (_, v: unknown) => (typeof v === 'string' ? escapeText(v) : v))
}

/** A bitmap of a cursor as PostgreSQL's bits, lowest offset first; null: nothing is done. */
export function bitsOf(done: Uint8Array | null): string | null {
  if (done === null) return null
  let out = ''
  for (const byte of done) out += bits[byte]!
  return out
}

const bits = Array.from({ length: 256 }, (_, byte) => [0, 1, 2, 3, 4, 5, 6, 7].map((i) => (byte >> i) & 1).join(''))

export function bitmapOf(bits: string | null): Uint8Array | null {
  const last = bits?.lastIndexOf('1') ?? -1
  if (bits === null || last < 0) return null
  const done = new Uint8Array((last >> 3) + 1)
  for (let i = 0; i <= last; i++) if (bits[i] === '1') done[i >> 3]! |= 1 << (i & 7)
  return done
}
