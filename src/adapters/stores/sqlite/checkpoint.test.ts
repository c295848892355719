import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Checkpointer } from './checkpoint.ts'
import { openFile } from './file.ts'
import { scratch } from './open.fixture.ts'

const mib = 1024 * 1024

test('makes the writers wait for a pass, so that the log starts again, however large the commits are', async (t) => {
  const { file, remove } = scratch()
  const db = openFile(file)
  const checkpoints = new Checkpointer(file, db)
  t.after(async () => {
    await checkpoints.close()
    db.close()
    remove()
  })
  db.exec('create table t (id integer primary key, x)')
  const insert = db.prepare('insert or replace into t values (?, ?)')
  const body = new Uint8Array(mib)
  const length = (): number => statSync(`${file}-wal`).size

  // A commit adds 257 frames: between two looks at the length more is added than a pass is worth.
  let pause: Promise<void> | undefined
  for (let n = 0; pause === undefined && length() < 1024 * mib; n++) {
    insert.run(n % 16, body)
    pause = checkpoints.wrote()
    await turn()
  }
  await pause
  const longest = length()
  for (let n = 0; n < 8; n++) insert.run(n, body)

  assert.ok(pause, 'nobody was asked to wait')
  assert.equal(length(), longest, 'what is written afterwards begins the log again')
})
