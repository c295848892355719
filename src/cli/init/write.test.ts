import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { packageName } from '../commands/init.ts'
import { writeNew } from './write.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'init-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const files = { 'a.txt': 'a', '.env': 'SECRET=1', 'deep/b.txt': 'b' }

test('writes all files, the secret for its owner only', (t) => {
  const path = join(folder(t), 'new', 'project')
  writeNew(path, files)
  assert.deepEqual(readdirSync(path).toSorted(), ['.env', 'a.txt', 'deep'])
  assert.equal(readFileSync(join(path, 'deep/b.txt'), 'utf8'), 'b')
  if (process.platform !== 'win32') assert.equal(statSync(join(path, '.env')).mode & 0o77, 0)
})

test('writes nothing when one file exists', (t) => {
  const path = folder(t)
  writeFileSync(join(path, '.env'), 'mine')
  assert.throws(
    () => writeNew(path, files),
    (e) => isFault(e, 'cli.exists') && e.message.includes('.env'),
  )
  assert.deepEqual(readdirSync(path), ['.env'])
  assert.equal(readFileSync(join(path, '.env'), 'utf8'), 'mine')
})

test('leaves nothing behind when it fails in the middle', (t) => {
  const path = folder(t)
  mkdirSync(join(path, 'kept'))
  // A file where a folder is needed: the second write fails.
  assert.throws(
    () => writeNew(path, { 'a.txt': 'a', 'a.txt/b.txt': 'b' }),
    (e) => isFault(e, 'cli.write'),
  )
  assert.deepEqual(readdirSync(path), ['kept'])
  assert.throws(() => writeNew(join(path, 'new'), { 'a.txt': 'a', 'a.txt/b.txt': 'b' }))
  assert.equal(existsSync(join(path, 'new')), false)
})

test('names the package after the folder as npm allows', () => {
  assert.deepEqual(['Shop', 'my shop!', '注文', 'fairlead', '-a-'].map(packageName), [
    'shop',
    'my-shop',
    'integration',
    'integration',
    'a',
  ])
})
