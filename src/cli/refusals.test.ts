import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { errorOf, run, temporaryFolder, type JsonError } from './child.fixture.ts'

const orders = `import { topic } from 'fairlead'\nexport const orders = topic('orders')\n`
const config = (more: string): string =>
  `import { sqlite } from 'fairlead/sqlite'\nimport * as orders from './orders.ts'\nexport const use = [orders]\n${more}`
const stored = config(`export const store = sqlite('./x.db')\n`)

test('bad configurations are refused with code, path and fix, and exit code 2', async (t) => {
  const cases: Readonly<
    Record<string, { files: Record<string, string>; args?: string[]; check: (e: JsonError) => void }>
  > = {
    'a syntax error': {
      files: { 'fairlead.config.ts': stored, 'orders.ts': 'export const a = 1\nexport const x: = 2\n' },
      check: (e) => {
        assert.equal(e.code, 'config.module')
        assert.match(e.message, /orders\.ts:2: /)
      },
    },
    'two definitions of one name, an unknown export and a wrong port, all at once': {
      files: {
        'fairlead.config.ts': config(`export const listen = { port: -1 }\nexport const stor = 1\n`),
        'orders.ts': `${orders}export const again = topic('orders')\n`,
      },
      check: (e) => {
        assert.equal(e.code, 'config.invalid')
        assert.deepEqual(
          e.problems?.map((p) => p.path),
          ['config.stor', 'config.listen.port', 'topic(orders)'],
        )
      },
    },
    'a missing secret': {
      files: {
        'fairlead.config.ts': stored,
        'orders.ts': `import { bearer, connection, secret } from 'fairlead'
          export const api = connection('api', { baseUrl: 'https://api.test', auth: bearer(secret('API_KEY')), operations: { get: { http: 'GET /' } } })`,
      },
      check: (e) =>
        assert.deepEqual(
          e.problems?.map((p) => p.path),
          ['secret(API_KEY)'],
        ),
    },
    'no store to look into': {
      files: { 'fairlead.config.ts': config(''), 'orders.ts': orders },
      args: ['status'],
      check: (e) => assert.equal(e.code, 'cli.memory'),
    },
    'a store below a folder that is not there': {
      files: { 'fairlead.config.ts': config(`export const store = sqlite('./data/x.db')`), 'orders.ts': orders },
      check: (e) => assert.deepEqual([e.code, e.path?.endsWith('/data/x.db')], ['store.open', true]),
    },
    'no config': {
      files: {},
      check: (e) => assert.match(e.fix, /fairlead init/),
    },
  }
  await Promise.all(
    Object.entries(cases).map(async ([name, { files, args = ['start'], check }]) => {
      const cwd = temporaryFolder(t, files)
      const ended = await run(t, [...args, '--json'], { cwd })
      assert.deepEqual([ended.code, ended.out], [2, ''], `${name}: ${ended.err}`)
      const e = errorOf(ended)
      assert.notEqual(e.fix, '', name)
      check(e)
      assert.deepEqual(
        readdirSync(cwd).toSorted(),
        ['package.json', 'node_modules', ...Object.keys(files)].toSorted(),
        name,
      )
    }),
  )
})

test('a store that is not ours to write is refused and left as it is', async (t) => {
  const database = (pragmas: string) => (path: string) => {
    const db = new DatabaseSync(path)
    db.exec(`${pragmas}; create table t (x)`)
    db.close()
  }
  const cases: readonly (readonly [code: string, make: (path: string) => void])[] = [
    [
      'store.corrupt',
      (path) => writeFileSync(path, 'this is no database, and long enough to be read as one. '.repeat(40)),
    ],
    ['store.newer', database('pragma application_id = 0x464c4431; pragma user_version = 9999')],
    ['store.foreign', database('pragma user_version = 1')],
    ['store.open', (path) => mkdirSync(path)],
  ]
  await Promise.all(
    cases.map(async ([code, make]) => {
      const cwd = temporaryFolder(t, { 'fairlead.config.ts': stored, 'orders.ts': orders })
      const path = join(cwd, 'x.db')
      make(path)
      const before = code === 'store.open' ? '' : readFileSync(path, 'base64')
      const ended = await run(t, ['start', '--json'], { cwd })
      assert.deepEqual([ended.code, errorOf(ended).code, errorOf(ended).path], [2, code, path])
      assert.equal(code === 'store.open' ? '' : readFileSync(path, 'base64'), before)
      assert.ok(!existsSync(`${path}-wal`))
    }),
  )
})

test('a project is the same from wherever it is named, and .env fills in what is not set', async (t) => {
  const cwd = temporaryFolder(t)
  const project = temporaryFolder(t, {
    'fairlead.config.mjs': `
      import { topic } from 'fairlead'
      import { sqlite } from 'fairlead/sqlite'
      export default { use: [[topic(process.env.TOPIC), topic(process.env.OTHER)]], store: sqlite('./x.db') }`,
    '.env': 'TOPIC=from-file\nOTHER=from-file\n',
  })
  const ended = await run(t, ['topics', '--config', project, '--json'], { cwd, env: { OTHER: 'from-environment' } })
  assert.deepEqual((JSON.parse(ended.out) as { name: string }[]).map((x) => x.name).toSorted(), [
    'from-environment',
    'from-file',
  ])
  assert.ok(existsSync(join(project, 'x.db')))
  assert.ok(!existsSync(join(cwd, 'x.db')))
})

test('a reader that has seen enough is no failure', async (t) => {
  const cwd = temporaryFolder(t, {
    'head.mjs': `
    import { spawn } from 'node:child_process'
    const child = spawn(process.execPath, [process.argv[2], 'explain', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
    child.stdout.destroy()
    child.on('close', (code) => console.log('code', code))`,
  })
  const main = join(import.meta.dirname, 'main.ts')
  const { out, err } = await run(t, [main], { cwd, file: join(cwd, 'head.mjs') })
  assert.deepEqual([out, err], ['code 0', ''])
})
