import type { Decisions } from './decisions.ts'

export type Shrunk = {
  readonly decisions: Decisions
  /** Runs that it took. */
  readonly runs: number
  /** Nothing more can be set to 0 or lowered; false: the time was over before. */
  readonly minimal: boolean
}

type Entry = { readonly label: string; readonly index: number; readonly value: number }

/**
 * Shortens a failing list of decisions while `fails` says that it still fails: what belongs to a step, a message or a process
 * first, many at once, down to single decisions, which are then lowered. What is set to 0 does not happen. Ends when nothing
 * more can be taken away, or when `more` says that it is time.
 */
export async function shrink(
  from: Decisions,
  fails: (decisions: Decisions) => Promise<boolean>,
  more: () => boolean,
): Promise<Shrunk> {
  let kept = entries(from)
  let runs = 0
  const attempt = async (candidate: readonly Entry[]): Promise<boolean> => {
    if (candidate.length === kept.length && candidate.every((e, i) => e.value === kept[i]!.value)) return false
    runs++
    if (!(await fails(listOf(candidate)))) return false
    kept = [...candidate]
    return true
  }
  /** Takes away as many of the parts as can be, half of them at once, then quarters, down to one. */
  const without = async (parts: readonly (readonly Entry[])[]): Promise<void> => {
    let left = [...parts]
    for (let size = left.length; size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < left.length;) {
        if (!more()) return
        const gone = new Set(left.slice(at, at + size).flat())
        if (await attempt(kept.filter((e) => !gone.has(e)))) left = [...left.slice(0, at), ...left.slice(at + size)]
        else at += size
      }
    }
  }

  for (let before = -1; before !== weight(kept) && more();) {
    before = weight(kept)
    // The order of what happens at once is rarely what matters, and is most of the list.
    await without([kept.filter((e) => e.label === 'tie')])
    await without([...Map.groupBy(kept, (e) => e.label.split(' ', 1)[0]!).values()].reverse())
    await without(kept.map((e) => [e]))
    for (let i = 0; i < kept.length && more(); i++) {
      for (const value of lower(kept[i]!.value)) {
        if (!more() || (await attempt(kept.map((e, n) => (n === i ? { ...e, value } : e))))) break
      }
    }
  }
  return { decisions: listOf(kept), runs, minimal: more() }
}

/** Values to try in place of this one, the smallest first. */
function lower(value: number): readonly number[] {
  return [...new Set([1, Math.floor(value / 2), value - 1])].filter((v) => v > 0 && v < value)
}

function entries(decisions: Decisions): Entry[] {
  return Object.entries(decisions).flatMap(([label, values]) =>
    values.flatMap((value, index) => (value === 0 ? [] : [{ label, index, value }])),
  )
}

function listOf(list: readonly Entry[]): Decisions {
  const out: Record<string, number[]> = {}
  for (const { label, index, value } of list) {
    const values = (out[label] ??= [])
    while (values.length < index) values.push(0)
    values[index] = value
  }
  return out
}

function weight(list: readonly Entry[]): number {
  return list.reduce((sum, e) => sum + 1 + Math.log2(e.value), 0)
}
