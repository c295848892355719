import { lineAt, type Import } from './scan.ts'

export type Breach = { readonly line: number; readonly rule: string; readonly message: string }

/**
 * All nondeterminism enters by one door (DESIGN: law). In the rooms that a simulation must own completely, nothing reads
 * a clock, arms a timer, rolls dice, opens a socket or looks at the process: they are given a Runtime.
 */
const simulated = ['kernel', 'resilience', 'journal', 'patterns']
/** Rooms that also run in a browser. */
const pure = ['kernel', 'resilience']

/** The required packages, and the optional ones of adapters, each with the places that may import it (docs/decisions/0002). Types of a schema go everywhere. */
const homes: Readonly<Record<string, string | readonly string[]>> = {
  '@standard-schema/spec': 'src/',
  commander: 'src/cli/',
  jose: 'src/patterns/connections/auth/oauth/',
  oauth4webapi: 'src/patterns/connections/auth/oauth/',
  pg: 'src/adapters/stores/postgres/',
  undici: 'src/app/http/',
  yaml: ['src/patterns/mappings/', 'src/cli/add/'],
  zod: 'src/connectors/',
}

/** Packages that `file` imports and should not. */
export function strangers(file: string, foreign: readonly Import[]): Breach[] {
  return foreign.flatMap(({ specifier, line }): Breach[] => {
    if (specifier.startsWith('node:')) return []
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
    const home = [homes[name] ?? []].flat()
    if (home.some((folder) => file.startsWith(folder))) return []
    const message =
      home.length === 0 ? `${name} is not a required dependency` : `${name} is imported in ${home.join(' and ')} only`
    return [{ line, rule: 'package', message }]
  })
}

const forbidden: readonly (readonly [RegExp, string])[] = [
  [/\bDate\s*\.\s*now\b/g, 'Date.now: use clock.now()'],
  [/\bnew\s+Date\b(?!\s*\(\s*[^\s)])/g, 'new Date() without arguments: use clock.now()'],
  [/(?<![.\w$]|new\s)Date\s*\(/g, 'Date(): use clock.now()'],
  [/\bTemporal\s*\.\s*Now\b/g, 'Temporal.Now: use clock.now()'],
  [/\bMath\s*\.\s*random\b/g, 'Math.random: use random.float()'],
  [/(?<![.\w$])performance\s*\.\s*\w/g, 'performance: use clock.mono()'],
  [/(?<![.\w$])set(?:Timeout|Interval|Immediate)\b(?!\s*[?:])/g, 'a timer of the host: use clock.after()'],
  [/(?<![.\w$])fetch\s*\(/g, 'fetch: use runtime.http'],
  [/(?<![.\w$])process\s*\./g, 'process: what the process knows comes in through the Runtime'],
  [/(?<![.\w$])crypto\s*\.\s*\w/g, 'the global crypto: use random.bytes() or ids.next()'],
  [/(?<![.\w$])globalThis\b/g, 'globalThis: everything of the host comes in through the Runtime'],
]

/** What journal and patterns may take from Node: things that compute, nothing that waits, reads or rolls dice. */
const computing = new Set([
  'node:async_hooks',
  'node:buffer',
  'node:crypto',
  'node:path',
  'node:string_decoder',
  'node:url',
  'node:util',
  'node:zlib',
])
const dice = /\b(?:random\w*|generateKey\w*|getRandomValues|webcrypto)\b/

/** Breaches in a file of `room`: `code` with comments and strings blanked, `foreign` what it imports from outside the package. */
export function law(room: string, code: string, foreign: readonly Import[]): Breach[] {
  if (!simulated.includes(room)) return []
  const found: Breach[] = []
  for (const [pattern, message] of forbidden) {
    for (const match of code.matchAll(pattern)) found.push({ line: lineAt(code, match.index), rule: 'law', message })
  }
  for (const { specifier, clause, line } of foreign) {
    if (!specifier.startsWith('node:')) continue
    if (pure.includes(room)) {
      found.push({ line, rule: 'pure', message: `${room} also runs in a browser: no ${specifier}` })
    } else if (!computing.has(specifier)) {
      found.push({ line, rule: 'law', message: `${specifier} reaches outside: use the Runtime` })
    } else if (specifier === 'node:crypto' && (dice.test(clause) || !clause.includes('{'))) {
      found.push({ line, rule: 'law', message: 'by name what computes; random bytes come from the Runtime' })
    }
  }
  return found
}
