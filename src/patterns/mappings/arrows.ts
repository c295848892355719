import { isFault } from '#kernel/fault.ts'
import type { Engine } from './engine.ts'
import { mostRejects, showValue, type Reject } from './reject.ts'

/** A pure function from the whole source to one field. */
export type Arrow = (source: never) => unknown

/** Runs typed arrows: each field is what its arrow returns, left out when that is undefined, rejected when it throws. */
export function arrowEngine(fields: Readonly<Record<string, Arrow>>): Engine {
  const names = Object.keys(fields)
  const arrows = names.map((name) => fields[name] as (source: unknown) => unknown)
  return {
    map(source) {
      const out: Record<string, unknown> = {}
      for (let i = 0; i < arrows.length; i++) {
        const value = arrows[i]!(source)
        if (value !== undefined) out[names[i]!] = value
      }
      return out
    },
    explain(source, index) {
      const out: Reject[] = []
      for (const [i, arrow] of arrows.entries()) {
        if (out.length === mostRejects) break
        try {
          arrow(source)
        } catch (e) {
          out.push({
            index,
            field: names[i]!,
            path: '',
            value: undefined,
            rule: 'arrow',
            reason: reasonOf(e, names[i]!),
          })
        }
      }
      return out
    },
  }
}

/**
 * What an arrow threw, as far as it may be shown. A Fault's message holds no payload by contract, and a TypeError of the
 * language names the property; any other message may quote the value (JSON.parse does), so only its type is kept.
 */
function reasonOf(e: unknown, field: string): string {
  if (isFault(e)) return String(showValue(e.message, [field]))
  if (e instanceof TypeError && e.message.startsWith('Cannot read properties of'))
    return `the arrow threw: ${String(showValue(e.message, []))}`
  return `the arrow threw ${e instanceof Error ? e.name : typeof e}`
}
