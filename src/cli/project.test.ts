import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { fault, isFault } from '#kernel/fault.ts'
import { loadFault } from './load-fault.ts'
import { findConfig, readConfig } from './project.ts'

function folder(t: TestContext, files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'project-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
  return path
}

const refusal = (part: string) => (e: unknown) => isFault(e, 'config.module') && e.message.includes(part)

test('finds the config in the current folder, in a given folder, or as a given file', (t) => {
  const path = folder(t, { 'fairlead.config.mjs': '', 'other.ts': '' })
  const config = join(path, 'fairlead.config.mjs')
  assert.equal(findConfig(undefined, path), config)
  assert.equal(findConfig(path, '/'), config)
  assert.equal(findConfig('other.ts', path), join(path, 'other.ts'))
})

test('says what it looked for when there is no config, more than one, or something else', (t) => {
  const path = folder(t, { 'a.yaml': '' })
  assert.throws(() => findConfig(undefined, path), refusal('there is no fairlead.config.ts'))
  assert.throws(() => findConfig('a.yaml', path), refusal('is not a module'))
  assert.throws(() => findConfig('absent.ts', path), refusal('does not exist'))
  mkdirSync(join(path, 'two'))
  for (const name of ['ts', 'js']) writeFileSync(join(path, 'two', `fairlead.config.${name}`), '')
  assert.throws(() => findConfig('two', path), refusal('fairlead.config.ts and fairlead.config.js'))
})

const paths = (module: Readonly<Record<string, unknown>>): string[] => readConfig(module).problems.map((p) => p.path)

test('takes named exports, or one default export', () => {
  const use = [{}]
  const listen = { port: 0, host: '::1' }
  assert.deepEqual(readConfig({ use, listen }), { config: { use, listen }, problems: [] })
  assert.deepEqual(readConfig({ default: { use, listen } }), { config: { use, listen }, problems: [] })
  const common = { use, listen }
  assert.deepEqual(paths({ default: common, 'module.exports': common, ...common }), [])
})

test('refuses unknown, contradictory and missing exports, all at once', () => {
  assert.deepEqual(paths({ default: { use: [] }, store: {} }), ['config.default'])
  assert.deepEqual(paths({ default: 3, use: [] }), ['config.default'])
  assert.deepEqual(paths({ use: [], work: false, stor: 1 }), ['config.work', 'config.stor'])
  assert.match(readConfig({ use: [], stor: 1 }).problems[0]!.fix, /did you mean "store"/)
  assert.deepEqual(paths({ listen: { port: 70_000, host: 1, tls: 1 } }), [
    'config.listen.tls',
    'config.listen.port',
    'config.listen.host',
    'config.use',
  ])
  assert.deepEqual(paths({ use: [], listen: null }), ['config.listen', 'config.listen.port'])
})

test('a module that cannot be loaded is told with file, line and reason on one line', async (t) => {
  const path = folder(t, {
    'syntax.ts': 'export const a = 1\nconst x: = 3\n',
    'enum.ts': 'enum A { B }\nexport const a = A.B\n',
    'thrown.mjs': '\n\nthrow new Error("boom\\nsecond line")\n',
    'missing.mjs': 'import "./nowhere.ts"\n',
    'package.mjs': 'import "no-such-package"\n',
    'name.mjs': 'import { nope } from "node:fs"\nnope()\n',
  })
  const told = async (name: string): Promise<{ message: string; fix: unknown }> => {
    const file = join(path, name)
    const e: unknown = await import(pathToFileURL(file).href).then(
      () => undefined,
      (e: unknown) => e,
    )
    const f = loadFault(e, file)
    assert.equal(f.code, 'config.module')
    return { message: f.message.replaceAll(path, ''), fix: f.detail['fix'] }
  }
  assert.match((await told('syntax.ts')).message, /^\/syntax\.ts:2: Unexpected token/)
  const unsupported = await told('enum.ts')
  assert.match(unsupported.message, /^\/enum\.ts:1: TypeScript enum is not supported/)
  assert.match(String(unsupported.fix), /Node removes types/)
  assert.equal((await told('thrown.mjs')).message, '/thrown.mjs:3: boom')
  assert.match((await told('missing.mjs')).message, /^\/missing\.mjs: Cannot find module '\/nowhere\.ts'/)
  assert.match(String((await told('package.mjs')).fix), /npm install/)
  assert.match((await told('name.mjs')).message, /^\/name\.mjs:1: .*does not provide an export named 'nope'/)
})

test('a fault of a module keeps its code, and anything may be thrown', () => {
  const own = fault('config.duration')
  assert.equal(loadFault(own, '/x.ts'), own)
  assert.equal(loadFault('text', '/x.ts').message.endsWith('text'), true)
})
