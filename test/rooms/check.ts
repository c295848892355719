import { posix } from 'node:path'
import { law, strangers } from './law.ts'
import { arrowProblem, roomOf, sharedRoom } from './plan.ts'
import { scan, type Import } from './scan.ts'

export type Violation = {
  readonly file: string
  readonly line: number
  readonly rule: string
  readonly message: string
}

export type Tree = {
  /** Path from the root of the repository (`src/kernel/fault.ts`) → source. Everything that is TypeScript. */
  readonly files: ReadonlyMap<string, string>
  /** Folders without an entry. */
  readonly emptyFolders?: readonly string[]
  /** The package's own name and `exports`: `.` → `./src/index.ts`. */
  readonly name: string
  readonly exports: Readonly<Record<string, string>>
}

const isTest = (path: string): boolean => /\.(test|slow|fixture)\.ts$|\/fixtures\//.test(path)
const banned = new Set(['utils', 'util', 'helpers', 'helper', 'misc', 'common'])
const longest = 600

/** Every place where the tree breaks the plan of the house, in order of path and line. */
export function checkRooms(tree: Tree): Violation[] {
  const found: Violation[] = []
  const doors = new Map(Object.entries(tree.exports).map(([k, v]) => [posix.join(tree.name, k), posix.normalize(v)]))
  const doorFiles = new Set(doors.values())
  for (const [file, source] of tree.files) {
    const report = (line: number, rule: string, message: string): void => {
      found.push({ file, line, rule, message })
    }
    checkShape(file, source, report)
    const { imports, computed, code } = scan(source)
    const resolved = imports.map((i) => resolve(file, i, doors))
    for (const r of resolved) {
      checkSpelling(file, r, report)
      if (file.startsWith('src/') && !isTest(file)) checkArrow(file, r, report)
    }
    if (!file.startsWith('src/') || isTest(file)) continue
    const room = roomOf(file)
    if (!room) report(1, 'room', 'this is not one of the rooms of ARCHITECTURE.md')
    for (const line of computed) {
      if (!room || !['app', 'cli', 'testing'].includes(room.name)) {
        report(
          line,
          'computed',
          'an import() without a literal hides its arrow; only app, cli and testing load user files',
        )
      }
    }
    const foreign = resolved.filter((r) => r.target === undefined)
    for (const breach of [...strangers(file, foreign), ...law(room?.name ?? '', code, foreign)]) {
      report(breach.line, breach.rule, breach.message)
    }
    if (doorFiles.has(file)) checkDoor(file, code, report)
  }
  for (const folder of tree.emptyFolders ?? []) {
    found.push({ file: folder, line: 0, rule: 'empty', message: 'an empty folder says nothing: remove it' })
  }
  return found.toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line))
}

export function print(v: Violation): string {
  return `${v.file}:${v.line} [${v.rule}] ${v.message}`
}

type Report = (line: number, rule: string, message: string) => void
type Resolved = Import & {
  /** Path from the root, for what is ours. */
  readonly target?: string
  readonly spelled: 'relative' | 'hash' | 'door' | 'package' | 'builtin'
}

function resolve(file: string, i: Import, doors: ReadonlyMap<string, string>): Resolved {
  const { specifier } = i
  if (specifier.startsWith('.')) {
    return { ...i, spelled: 'relative', target: posix.join(posix.dirname(file), specifier) }
  }
  if (specifier.startsWith('#')) return { ...i, spelled: 'hash', target: posix.join('src', specifier.slice(1)) }
  const door = doors.get(specifier)
  if (door !== undefined) return { ...i, spelled: 'door', target: door }
  return { ...i, spelled: specifier.startsWith('node:') ? 'builtin' : 'package' }
}

/** `#room/file.ts` across rooms, `./` or `../` within one, the package's name from examples: one spelling for one arrow. */
function checkSpelling(file: string, r: Resolved, report: Report): void {
  if (r.target === undefined) return
  const target = r.target
  const outside = !file.startsWith('src/')
  if (file.startsWith('examples/')) {
    if (target.startsWith('src/') && r.spelled !== 'door') {
      report(r.line, 'spelling', `an example shows what a user can write: import from the package, not ${r.specifier}`)
    }
    return
  }
  if (!target.startsWith('src/')) {
    // The real servers that tests need are started by tools.
    if (!outside && !(isTest(file) && target.startsWith('tools/')))
      report(r.line, 'arrow', `src does not import ${target}`)
    return
  }
  if (r.spelled === 'door') return
  const within = !outside && sharedRoom(file) === sharedRoom(target)
  if (r.spelled === 'relative' && !within) {
    report(r.line, 'spelling', `across rooms write #${target.slice('src/'.length)}, not ${r.specifier}`)
  }
  if (r.spelled === 'hash' && within) {
    const relative = posix.relative(posix.dirname(file), target)
    report(
      r.line,
      'spelling',
      `within a room write ${relative.startsWith('.') ? relative : `./${relative}`}, not ${r.specifier}`,
    )
  }
}

function checkArrow(file: string, r: Resolved, report: Report): void {
  if (r.target === undefined || !r.target.startsWith('src/')) return
  if (isTest(r.target)) return report(r.line, 'arrow', `${r.specifier} exists for tests only`)
  const problem = arrowProblem(file, r.target, r.spelled === 'door')
  if (problem !== undefined) report(r.line, 'arrow', `${r.specifier}: ${problem}`)
}

/** The front door is a list of named re-exports; no door has `export *`, or its names would be nobody's decision. */
function checkDoor(file: string, code: string, report: Report): void {
  for (const match of code.matchAll(/export\s*(?:type\s*)?\*/g)) {
    report(lineOf(code, match.index), 'door', 'no export * at a door: name what leaves')
  }
  if (file !== 'src/index.ts') return
  const rest = code.replaceAll(/export\s+(?:type\s+)?\{[^}]*\}\s*from\s*(['"])\s*\1;?/g, (m) =>
    m.replaceAll(/[^\n]/g, ' '),
  )
  const other = rest.search(/\S/)
  if (other >= 0) report(lineOf(rest, other), 'door', 'the front door holds named re-exports and nothing else')
}

function checkShape(file: string, source: string, report: Report): void {
  const parts = file.split('/')
  const bad = [...parts.slice(0, -1), parts.at(-1)!.replace(/(\.test)?\.ts$/, '')].find((p) => banned.has(p))
  if (bad !== undefined) report(1, 'name', `"${bad}" says nothing about what is inside`)
  const lines = source.split('\n').length - (source.endsWith('\n') ? 1 : 0)
  if (lines > longest) report(longest, 'length', `${lines} lines; a file reads in one sitting: at most ${longest}`)
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}
