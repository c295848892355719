import { isText, isWord, kindOf } from './kinds.ts'
import type { Hidden } from './shape.ts'

/**
 * What stands at a path of an answer, as it may be shown: names, fixed words, small numbers and booleans; for every other value its
 * kind (`<email>`, `<text>`), and nothing of fields whose names are sensitive. At most 200 characters.
 */
export function sampleAt(answer: unknown, path: string, hidden: Hidden): string | undefined {
  const steps = path.replaceAll('[]', '.[]').split('.').filter(Boolean)
  const found = find(answer, steps, 0)
  if (found === undefined) return undefined
  const name = steps.findLast((s) => s !== '[]' && s !== '*') ?? ''
  return JSON.stringify(shown(found, name, hidden, 0)).slice(0, 200)
}

function find(value: unknown, steps: readonly string[], at: number): unknown {
  const step = steps[at]
  if (step === undefined) return value
  if (typeof value !== 'object' || value === null) return undefined
  if (step !== '[]' && step !== '*')
    return Object.hasOwn(value, step)
      ? find((value as Readonly<Record<string, unknown>>)[step], steps, at + 1)
      : undefined
  for (const one of Object.values(value).slice(0, 100)) {
    const found = find(one, steps, at + 1)
    if (found !== undefined) return found
  }
  return undefined
}

function shown(value: unknown, name: string, hidden: Hidden, depth: number): unknown {
  if (value === null || typeof value === 'boolean') return value
  if (hidden(name)) return '<hidden>'
  const kind = kindOf(value)
  if (isText(kind)) return isWord(value as string) ? value : `<${kind}>`
  // Longer numbers are ids, accounts and telephones.
  if (typeof value === 'number') return Math.abs(value) < 1e6 ? value : '<number>'
  if (depth >= 2) return `<${kind}>`
  if (Array.isArray(value)) return value.slice(0, 2).map((v) => shown(v, name, hidden, depth + 1))
  return Object.fromEntries(
    Object.entries(value as object)
      .slice(0, 8)
      .map(([n, v]) => [n, shown(v, n, hidden, depth + 1)]),
  )
}
