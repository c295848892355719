import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

/** Makes ids that sort by time of making. */
export interface Ids {
  next(): string
}

const hex: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

/**
 * UUID version 7 (RFC 9562 §5.7): 48 bits of milliseconds, a 12-bit counter that keeps ids of one millisecond in order,
 * 62 random bits. A wall clock that goes back does not make ids go back: the last millisecond is kept.
 */
export function uuid7(clock: Clock, random: Random): Ids {
  let last = 0
  let count = 0
  let pool: Uint8Array = new Uint8Array(0)
  let at = 0
  return {
    next() {
      const now = Math.floor(clock.now())
      if (now > last) {
        last = now
        count = 0
      } else if (++count > 0xfff) {
        last++
        count = 0
      }
      if (at + 8 > pool.length) {
        pool = random.bytes(1024)
        at = 0
      }
      const time = last.toString(16).padStart(12, '0')
      const p = pool
      const variant = (p[at]! & 0x3f) | 0x80
      const id = `${time.slice(0, 8)}-${time.slice(8)}-7${count.toString(16).padStart(3, '0')}-${hex[variant]!}${hex[p[at + 1]!]!}-${hex[p[at + 2]!]!}${hex[p[at + 3]!]!}${hex[p[at + 4]!]!}${hex[p[at + 5]!]!}${hex[p[at + 6]!]!}${hex[p[at + 7]!]!}`
      at += 8
      return id
    },
  }
}
