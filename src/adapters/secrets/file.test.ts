import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { redactor } from '#kernel/redact.ts'
import type { Files } from '#kernel/runtime.ts'
import { virtualClock } from '#testing/clock.ts'
import { secretsConformance } from './conformance.ts'
import { fileSecrets, type FileSecretsOptions } from './file.ts'
import { runtimeOf } from './world.fixture.ts'

/** The system's files, counted, and gone when told. */
class DiskFiles implements Files {
  gone = false
  reads = 0

  async read(path: string | URL): Promise<string> {
    if (this.gone) throw Object.assign(new Error('input/output error'), { code: 'EIO' })
    this.reads++
    return readFile(path, 'utf8')
  }

  async stat(path: string | URL): Promise<Awaited<ReturnType<Files['stat']>>> {
    if (this.gone) throw Object.assign(new Error('input/output error'), { code: 'EIO' })
    const found = await stat(path)
    return {
      kind: found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other',
      bytes: found.size,
      mode: found.mode & 0o777,
    }
  }
}

/** Whole, or not at all. */
function replace(path: string, text: string, mode = 0o600): void {
  writeFileSync(`${path}.new`, text, { mode })
  chmodSync(`${path}.new`, mode)
  renameSync(`${path}.new`, path)
}

secretsConformance('secrets of a folder', virtualClock, async (world) => {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'))
  const files = new DiskFiles()
  const current = new Map<string, string>()
  return {
    secrets: await fileSecrets(folder).open(runtimeOf(world, { files })),
    refresh: 1_000,
    keep: 300_000,
    put: async (name, value, overlap) => {
      const before = current.get(name)
      if (before !== undefined && overlap) replace(join(folder, `${name}.previous`), before)
      else rmSync(join(folder, `${name}.previous`), { force: true })
      replace(join(folder, name), `${value}\n`)
      current.set(name, value)
    },
    remove: async (name) => rmSync(join(folder, name)),
    away: async (is) => void (files.gone = is),
    asked: () => files.reads,
    close: async () => rmSync(folder, { recursive: true }),
  }
})

secretsConformance('secrets of a JSON file', virtualClock, async (world) => {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'))
  const path = join(folder, 'secrets.json')
  const files = new DiskFiles()
  let content: Record<string, string> = {}
  const write = (): void => replace(path, JSON.stringify(content))
  write()
  return {
    secrets: await fileSecrets(path).open(runtimeOf(world, { files })),
    refresh: 1_000,
    keep: 300_000,
    put: async (name, value, overlap) => {
      const { [name]: before, [`${name}.previous`]: _, ...others } = content
      content = {
        ...others,
        [name]: value,
        ...(overlap && before !== undefined ? { [`${name}.previous`]: before } : {}),
      }
      write()
    },
    remove: async (name) => {
      const { [name]: _, ...others } = content
      content = others
      write()
    },
    away: async (is) => void (files.gone = is),
    asked: () => files.reads,
    close: async () => rmSync(folder, { recursive: true }),
  }
})

async function open(t: TestContext, prepare: (folder: string) => string, options?: FileSecretsOptions) {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const clock = virtualClock()
  const world = { clock, redact: redactor(), log: { write: () => undefined } }
  const secrets = await fileSecrets(prepare(folder), options).open(runtimeOf(world, { files: new DiskFiles() }))
  const values = async (name: string): Promise<string[]> => (await secrets.read(name)).map((v) => v.reveal())
  return { folder, clock, values, later: () => clock.advance(2_000) }
}

const config = (pattern: RegExp) => (e: unknown) => isFault(e, 'config.secret') && pattern.test(e.message)

test('lines of NAME=value: comments, quotes, spaces, an older value, and nothing expanded', async (t) => {
  const text = `# of billing\nPAYMENTS_KEY = sk-1\r\nPAYMENTS_KEY.previous=sk-0\nQUOTED="a b # c"\nSINGLE='$HOME'\nOPEN="half\nEMPTY=\n`
  const { values } = await open(t, (folder) => {
    replace(join(folder, '.env'), text)
    return join(folder, '.env')
  })
  assert.deepEqual(await values('PAYMENTS_KEY'), ['sk-1', 'sk-0'])
  assert.deepEqual(await values('QUOTED'), ['a b # c'])
  assert.deepEqual(await values('SINGLE'), ['$HOME'])
  assert.deepEqual(await values('OPEN'), ['"half'])
  await assert.rejects(values('EMPTY'), config(/EMPTY/))
  await assert.rejects(values('PAYMENTS_KEY.previous'), config(/previous/))
})

test('a mount of Kubernetes: files behind links whose target is swapped as a whole', async (t) => {
  const generation = (folder: string, name: string, key: string): void => {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'payments-key'), key, { mode: 0o440 })
    symlinkSync(name, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  const k = await open(t, (folder) => {
    generation(folder, '..2026_01', 'first-key')
    symlinkSync('..data/payments-key', join(folder, 'payments-key'))
    return folder
  })
  assert.deepEqual(await k.values('payments-key'), ['first-key'])
  generation(k.folder, '..2026_02', 'second-key')
  rmSync(join(k.folder, '..2026_01'), { recursive: true })
  await k.later()
  assert.deepEqual(await k.values('payments-key'), ['second-key'])
})

test('refuses a file that every user of the machine may read or write, unless that is spelled out', async (t) => {
  const at = (folder: string): string => {
    for (const [name, mode] of [
      ['own', 0o600],
      ['group', 0o640],
      ['read', 0o604],
      ['write', 0o602],
    ] as const) {
      replace(join(folder, name), `value-of-${name}`, mode)
    }
    return folder
  }
  const strict = await open(t, at)
  assert.deepEqual(await strict.values('own'), ['value-of-own'])
  assert.deepEqual(await strict.values('group'), ['value-of-group'])
  await assert.rejects(strict.values('read'), config(/every user .*mode 604/))
  await assert.rejects(strict.values('write'), config(/every user .*mode 602/))
  chmodSync(join(strict.folder, 'own'), 0o644)
  await strict.later()
  await assert.rejects(strict.values('own'), config(/mode 644/))
  const open_ = await open(t, at, { insecure: 'allow-readable-by-others' })
  assert.deepEqual(await open_.values('read'), ['value-of-read'])
})

test('a file caught half-written leaves the last good values', async (t) => {
  const f = await open(t, (folder) => {
    replace(join(folder, 'secrets.json'), '{"KEY":"whole-key"}')
    return join(folder, 'secrets.json')
  })
  assert.deepEqual(await f.values('KEY'), ['whole-key'])
  for (const half of ['', '{"KEY":"wh', 'nonsense']) {
    replace(join(f.folder, 'secrets.json'), half)
    await f.later()
    // An empty file is an empty table of lines: the secret is gone.
    if (half === '') await assert.rejects(f.values('KEY'), config(/KEY/))
    else assert.deepEqual(await f.values('KEY'), ['whole-key'])
    replace(join(f.folder, 'secrets.json'), '{"KEY":"whole-key"}')
    await f.later()
    assert.deepEqual(await f.values('KEY'), ['whole-key'])
  }
})

test('a path that is not there, a folder in place of a file and a file of 2 MiB are refused by name', async (t) => {
  await assert.rejects(
    open(t, (folder) => join(folder, 'absent')),
    config(/absent cannot be opened/),
  )
  const { values } = await open(t, (folder) => {
    mkdirSync(join(folder, 'inner'))
    replace(join(folder, 'large'), 'x'.repeat(2 ** 21))
    return folder
  })
  await assert.rejects(values('inner'), config(/inner is not a file/))
  await assert.rejects(values('large'), config(/larger than 1048576/))
})
