import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { fdatasync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as later } from 'node:timers'
import { test } from 'node:test'
import { guard } from './guards.ts'

const bypasses: Readonly<Record<string, () => unknown>> = {
  'Date.now': () => Date.now(),
  'new Date()': () => new Date(),
  'Date()': () => Date(),
  setTimeout: () => setTimeout(() => {}, 1),
  setInterval: () => setInterval(() => {}, 1),
  setImmediate: () => setImmediate(() => {}),
  'timers.setTimeout': () => later(() => {}, 1),
  'AbortSignal.timeout': () => AbortSignal.timeout(1),
  'performance.now': () => performance.now(),
  'Math.random': () => Math.random(),
  'crypto.randomBytes': () => randomBytes(1),
  'crypto.randomUUID': () => randomUUID(),
  'crypto.getRandomValues': () => crypto.getRandomValues(new Uint8Array(1)),
  fetch: () => fetch('http://127.0.0.1:9'),
  'net.connect': () => connect(9),
}

test('whatever bypasses the Runtime in a run throws and is remembered; afterwards all is as before', () => {
  const synced: number[] = []
  const host = (): unknown[] => [Date, setTimeout, fetch, Math.random, Object.hasOwn(performance, 'now')]
  const before = host()
  const guards = guard({ fdatasync: (fd) => void synced.push(fd), opened: () => {} })
  const thrown: string[] = []
  let date: Date | undefined
  try {
    for (const [name, bypass] of Object.entries(bypasses)) {
      try {
        bypass()
      } catch {
        thrown.push(name)
      }
    }
    fdatasync(7, () => {})
    date = new Date(5)
  } finally {
    guards.restore()
    guards.restore()
  }
  assert.deepEqual(thrown, Object.keys(bypasses))
  assert.deepEqual(
    guards.breaches.map((b) => b.slice(0, b.indexOf(' ', 'new '.length))),
    Object.keys(bypasses),
  )
  assert.deepEqual(synced, [7])
  assert.ok(date instanceof Date && date.getTime() === 5, 'a date of a known time may be made')
  assert.deepEqual(host(), before)
  assert.ok(Date.now() > 0 && Math.random() < 1)
})

test('two runs at once are refused: they would share the globals', () => {
  const files = { fdatasync: () => {}, opened: () => {} }
  const guards = guard(files)
  try {
    assert.throws(() => guard(files), /one at a time/)
  } finally {
    guards.restore()
  }
  guard(files).restore()
})
