/**
 * The package as a user gets it: built, packed, installed from the tarball into an empty folder, used. Run with
 * `npm run test:package`: it compiles and runs npm, so it stays out of `npm test`.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { codes } from '#kernel/codes.ts'
import type { Published } from '../tools/manifest.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)
const bin = (name: string): string => join(root, 'node_modules/.bin', name)
const npm = async (args: readonly string[], cwd: string): Promise<string> => {
  const [file, ...first] = process.env['npm_execpath'] ? [process.execPath, process.env['npm_execpath']] : ['npm']
  return (await run(file, [...first, ...args], { cwd })).stdout
}
type Entry = { readonly version: string; readonly dev?: boolean }
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

describe('the published package', () => {
  let folder: string
  let tarball: string
  let user: string
  let manifest: Published

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'package-'))
    const built = join(folder, 'built')
    await run(process.execPath, [join(root, 'tools/build.ts'), built])
    await npm(['pack', '--silent', '--pack-destination', folder], built)
    manifest = readJson(join(built, 'package.json')) as Published
    tarball = join(folder, `fairlead-${manifest.version}.tgz`)
    user = join(folder, 'user')
    await install()
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /**
   * Installs with npm, from a lock file that names the dependencies where this repository's own names them: npm takes them
   * from its cache, which `npm ci` has filled, and asks nobody for versions. Beside the package stands zod, as with everyone who
   * uses a connector.
   */
  async function install(): Promise<void> {
    mkdirSync(user)
    const lock = readJson(join(root, 'package-lock.json')) as { packages: Record<string, Entry> }
    const ours = Object.entries(lock.packages).filter(([path, entry]) => path !== '' && entry.dev !== true)
    const integrity = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`
    const resolved = `file:../fairlead-${manifest.version}.tgz`
    const { version, dependencies, engines } = manifest
    const { dev: _, ...zod } = lock.packages['node_modules/zod']!
    const beside = { fairlead: resolved, zod: zod.version }
    const project = { name: 'user', type: 'module', private: true, dependencies: beside }
    const packages = {
      '': project,
      ...Object.fromEntries(ours),
      'node_modules/zod': zod,
      'node_modules/fairlead': { version, resolved, integrity, dependencies, engines, bin: manifest.bin },
    }
    writeFileSync(join(user, 'package.json'), JSON.stringify(project))
    writeFileSync(join(user, 'package-lock.json'), JSON.stringify({ name: 'user', lockfileVersion: 3, packages }))
    await npm(['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'], user)
    cpSync(join(root, 'test/fixtures/package'), user, { recursive: true })
  }

  test('holds compiled code, declarations and documents, nothing of development', () => {
    const files = readdirSync(join(user, 'node_modules/fairlead'), { recursive: true, encoding: 'utf8' })
    for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md', 'index.js', 'index.d.ts'])
      assert.ok(files.includes(name), name)
    assert.deepEqual(
      files.filter((name) => /(?<!\.d)\.ts$|\.(?:test|slow|fixture)\.|fixtures|tsbuildinfo/.test(name)),
      [],
    )
    assert.ok(statSync(tarball).size < 1_000_000, `${statSync(tarball).size} bytes packed`)
  })

  test('gives at each public subpath the values that test/doors.json lists', async () => {
    const listed = readJson(join(root, 'test/doors.json')) as Record<string, Record<string, 'value' | 'type'>>
    const expected = Object.fromEntries(
      Object.entries(listed).map(([door, names]) => [
        door,
        Object.keys(names).filter((name) => names[name] === 'value'),
      ]),
    )
    const { stdout } = await run(process.execPath, ['doors.mjs', ...Object.keys(listed)], { cwd: user })
    assert.deepEqual(JSON.parse(stdout), expected)
    assert.deepEqual(
      Object.keys(manifest.exports).map((subpath) => `fairlead${subpath.slice(1)}`),
      Object.keys(listed),
    )
  })

  test('runs a program of a user from the installed package', async () => {
    const { stdout } = await run(process.execPath, ['program.ts'], { cwd: user })
    assert.equal(stdout, 'handled o-1 990\nrefused\n')
  })

  // With declarations: a type that the front door does not export could not be named in those of a user's library.
  test("type-checks a user's program under nodenext and under a bundler's resolution", async () => {
    for (const module of ['nodenext', 'preserve']) {
      const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false }
      const output = { declaration: true, outDir: `types-${module}`, emitDeclarationOnly: true }
      const lib = { target: 'es2024', lib: ['es2024', 'esnext.disposable'], types: ['node'] }
      const found = { module, typeRoots: [join(root, 'node_modules/@types')] }
      const compilerOptions = { ...strict, ...output, ...lib, ...found }
      writeFileSync(join(user, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }))
      await passes(bin('tsc'), ['-p', user])
    }
  })

  test('has a command that works from the installed package', async () => {
    const command = join(user, 'node_modules/.bin/fairlead')
    assert.equal((await run(command, ['--version'], { cwd: user })).stdout.trim(), manifest.version)
    const { stdout } = await run(command, ['explain', 'config.duration'], { cwd: user })
    assert.ok(stdout.includes(codes['config.duration'].help), stdout)
  })

  test('pleases publint and attw', async () => {
    await passes(bin('publint'), ['run', tarball, '--strict'])
    await passes(bin('attw'), ['--profile', 'esm-only', '--no-emoji', '--no-color', tarball])
  })
})

/** Fails with what the tool printed. */
async function passes(file: string, args: readonly string[]): Promise<void> {
  await run(file, args, { maxBuffer: 64e6 }).catch((e: { stdout?: string; stderr?: string }) => {
    assert.fail(`${args.join(' ')}\n${e.stdout ?? ''}${e.stderr ?? ''}`)
  })
}
