import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

/** Makes ids that sort by time of making. */
export interface Ids {
  next(): string
}

/** Three digits each: an id is put together of few pieces. */
const hex: readonly string[] = Array.from({ length: 4096 }, (_, i) => i.toString(16).padStart(3, '0'))
const variants = ['-8', '-9', '-a', '-b'] as const

/**
 * UUID version 7 (RFC 9562 §5.7): 48 bits of milliseconds, a 12-bit counter that keeps ids of one millisecond in order,
 * 62 random bits. A wall clock that goes back does not make ids go back: the last millisecond is kept.
 */
export function uuid7(clock: Clock, random: Random): Ids {
  let last = 0
  let count = 0
  let head = headOf(last)
  let pool: Uint8Array = new Uint8Array(0)
  let at = 0
  return {
    next() {
      const now = Math.floor(clock.now())
      if (now > last || ++count > 0xfff) {
        last = now > last ? now : last + 1
        count = 0
        head = headOf(last)
      }
      if (at + 8 > pool.length) {
        pool = random.bytes(1024)
        at = 0
      }
      const p = pool
      const a = (p[at]! << 8) | p[at + 1]!
      const b = (p[at + 2]! << 16) | (p[at + 3]! << 8) | p[at + 4]!
      const c = (p[at + 5]! << 16) | (p[at + 6]! << 8) | p[at + 7]!
      at += 8
      return `${head}${hex[count]!}${variants[(a >> 12) & 3]!}${hex[a & 0xfff]!}-${hex[b >> 12]!}${hex[b & 0xfff]!}${hex[c >> 12]!}${hex[c & 0xfff]!}`
    },
  }
}

/** `019abcde-0123-7` of a millisecond. */
function headOf(ms: number): string {
  const time = ms.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7`
}
