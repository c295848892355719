import { blank } from './scan.ts'

/** What a name is at run time: `type` names exist for the compiler only. */
export type Exported = Readonly<Record<string, 'value' | 'type'>>

/** The names that a door's source exports, sorted. Throws for `export *` and default exports: doors have neither. */
export function exportsOf(source: string): Exported {
  const code = blank(source)
  if (/\bexport\s*(?:type\s*)?\*/.test(code)) throw new Error('a door has no export *')
  if (/\bexport\s+default\b/.test(code)) throw new Error('a door has no default export')
  const found: Record<string, 'value' | 'type'> = {}
  for (const [, type, list] of code.matchAll(/\bexport\s+(type\s+)?\{([^}]*)\}/g)) {
    for (const item of list!.split(',')) {
      const words = item.trim().split(/\s+/)
      const name = words.at(-1)!
      if (name !== '') found[name] = type !== undefined || (words[0] === 'type' && words.length > 1) ? 'type' : 'value'
    }
  }
  const declared =
    /\bexport\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(const|let|function\s*\*?|class|type|interface)\s+(?!\{)([\w$]+)/g
  for (const [, word, name] of code.matchAll(declared)) {
    const isType = word === 'type' || word === 'interface'
    // A value and a type of one name are one export to a reader: what exists at run time decides.
    if (!isType || found[name!] === undefined) found[name!] = isType ? 'type' : 'value'
  }
  return Object.fromEntries(Object.entries(found).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
