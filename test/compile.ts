import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Path in the repository → text. */
export type Sources = ReadonlyMap<string, string>
export type Diagnostic = {
  readonly file: string
  readonly line: number
  readonly code: string
  readonly message: string
}
export type Compiled = { readonly diagnostics: readonly Diagnostic[]; readonly instantiations: number }

/**
 * Type-checks sources as if they were files of this repository, with its compiler and its strict options, in one run.
 * Only diagnostics of the given files are reported: those of `src/` are the business of `npm run types`.
 */
export function compile(sources: Sources): Promise<Compiled> {
  return inMirror(sources, async (mirror) => {
    // Examples and samples declare what they do not use; everything else is as strict as the code.
    const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false }
    const config = { extends: './tsconfig.json', compilerOptions, include: [], files: [...sources.keys()] }
    writeFileSync(join(mirror, 'tsconfig.check.json'), JSON.stringify(config))
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const { output } = await node(
      [tsc, '-p', 'tsconfig.check.json', '--pretty', 'false', '--extendedDiagnostics'],
      mirror,
    )
    const instantiations = /^Instantiations:\s+(\d+)$/m.exec(output)?.[1]
    if (instantiations === undefined) throw new Error(`the compiler did not run:\n${output}`)
    const diagnostics = parse(output).filter((d) => sources.has(d.file) || d.file === '')
    return { diagnostics, instantiations: Number(instantiations) }
  })
}

/** Runs one of the sources as a program of this repository. What it printed; throws with it when it failed. */
export function execute(sources: Sources, file: string): Promise<string> {
  return inMirror(sources, async (mirror) => {
    const { code, output, errors } = await node([file], mirror)
    if (code !== 0) throw new Error(`${file} ended with ${code}:\n${output}${errors}`)
    return output
  })
}

export function print(d: Diagnostic): string {
  return `${d.file}:${d.line} ${d.code} ${d.message}`
}

/** A temporary folder that looks like this repository: `fairlead`, `#room/file.ts` and the packages resolve as usual. */
async function inMirror<T>(sources: Sources, work: (mirror: string) => Promise<T>): Promise<T> {
  const mirror = mkdtempSync(join(tmpdir(), 'mirror-'))
  try {
    for (const name of ['node_modules', 'src']) symlinkSync(join(root, name), join(mirror, name))
    for (const name of ['package.json', 'tsconfig.json']) copyFileSync(join(root, name), join(mirror, name))
    for (const [name, source] of sources) {
      mkdirSync(dirname(join(mirror, name)), { recursive: true })
      writeFileSync(join(mirror, name), source)
    }
    return await work(mirror)
  } finally {
    rmSync(mirror, { recursive: true, force: true })
  }
}

function node(args: readonly string[], cwd: string): Promise<{ code: number; output: string; errors: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd, maxBuffer: 64e6, timeout: 120_000 }, (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output, errors })
    })
  })
}

function parse(output: string): Diagnostic[] {
  const found: Diagnostic[] = []
  for (const match of output.matchAll(/^(?:(.+?)\((\d+),\d+\): )?error (TS\d+): (.*(?:\n[ \t]+.*)*)$/gm)) {
    found.push({ file: match[1] ?? '', line: Number(match[2] ?? 0), code: match[3]!, message: match[4]! })
  }
  return found
}
