import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonLog } from '#app/log.ts'
import { fault } from '#kernel/fault.ts'
import { unpainted } from '../terminal.ts'
import { parseLogLine, printLogEvent } from './log-line.ts'

function logged(fields: Readonly<Record<string, unknown>>): string {
  let line = ''
  jsonLog({ write: (text) => (line = text.trimEnd()) }).write('warn', 'subscription.dead', fields)
  return line
}

test('reads what the log writes, and prints it on one line without controls', () => {
  const event = parseLogLine(logged({ subscription: 'billing\u001b[2J', fault: fault('connection.rejected'), n: 3 }))
  assert.ok(event)
  const line = printLogEvent(event, unpainted).slice('hh:mm:ss '.length)
  assert.equal(
    line,
    'warn subscription.dead subscription=billing\\x1b[2J fault=connection.rejected: They refused the request (4xx). n=3',
  )
})

test('anything else that a program prints is no log event', () => {
  for (const line of ['', 'hello', '{"a":1}', '{"time":', '{"time":1,"level":"warn","event":"x"}', '[]']) {
    assert.equal(parseLogLine(line), undefined, line)
  }
})
