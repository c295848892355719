import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eachLine } from './dev/lines.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Compiled code that outlives the run: below node_modules, like other caches. */
const cache = join(root, 'node_modules/.cache')
const main = fileURLToPath(new URL('./main.ts', import.meta.url))

/** A folder in which `fairlead` and `zod` are installed, gone after the test. */
export function temporaryFolder(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'cli-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  write(folder, { 'package.json': '{"type":"module"}', ...files })
  install(folder)
  return folder
}

/** As `npm install` would, from this checkout. */
export function install(folder: string): void {
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules/fairlead'))
  symlinkSync(join(root, 'node_modules/zod'), join(folder, 'node_modules/zod'))
}

export function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

export type Ended = { readonly code: number | null; readonly out: string; readonly err: string }

export type Running = {
  /** The first line, of either stream, that was or will be printed and holds `part`. Rejects when the process ends before. */
  line(part: string): Promise<string>
  /** As `line`, but only lines from now on. */
  nextLine(part: string): Promise<string>
  signal(signal: NodeJS.Signals): void
  readonly ended: Promise<Ended>
}

type Options = { readonly cwd: string; readonly env?: Readonly<Record<string, string>>; readonly file?: string }

/** `fairlead …` in a process of its own; killed after the test if it still runs. */
export function start(t: TestContext, args: readonly string[], { cwd, env, file = main }: Options): Running {
  const clean = { PATH: process.env['PATH'], TMPDIR: tmpdir(), HOME: cwd, NO_COLOR: '1', XDG_CACHE_HOME: cache }
  const child = spawn(process.execPath, [file, ...args], {
    cwd,
    env: { ...clean, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: Record<'out' | 'err', string[]> = { out: [], err: [] }
  const waiting = new Set<{ part: string; found: (line: string) => void; failed: (e: Error) => void }>()
  for (const [name, stream] of [
    ['out', child.stdout],
    ['err', child.stderr],
  ] as const) {
    eachLine(stream, (line) => {
      lines[name].push(line)
      for (const w of waiting) if (line.includes(w.part) && waiting.delete(w)) w.found(line)
    })
  }
  const text = (name: 'out' | 'err'): string => lines[name].join('\n')
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => {
      resolve({ code, out: text('out'), err: text('err') })
      for (const w of waiting)
        w.failed(new Error(`ended (${code}) without "${w.part}":\n${text('out')}\n${text('err')}`))
    })
  })
  t.after(() => {
    child.kill('SIGKILL')
    return ended
  })
  const nextLine = (part: string): Promise<string> =>
    new Promise((found, failed) => waiting.add({ part, found, failed }))
  return {
    line: (part) => {
      const before = [...lines.out, ...lines.err].find((l) => l.includes(part))
      return before === undefined ? nextLine(part) : Promise.resolve(before)
    },
    nextLine,
    signal: (signal) => void child.kill(signal),
    ended,
  }
}

export function run(t: TestContext, args: readonly string[], options: Options): Promise<Ended> {
  return start(t, args, options).ended
}

/** The JSON that a command printed. */
export function parsed(ended: Ended): unknown {
  if (ended.code !== 0) throw new Error(`exit ${ended.code}: ${ended.err}`)
  return JSON.parse(ended.out)
}

export type JsonError = {
  readonly code: string
  readonly fix: string
  readonly path?: string
  readonly message: string
  readonly problems?: readonly { readonly path: string }[]
}

export function errorOf(ended: Ended): JsonError {
  return (JSON.parse(ended.err) as { error: JsonError }).error
}
