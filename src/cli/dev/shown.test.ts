import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakeTerminal } from '../terminal.fixture.ts'
import { Screen } from './screen.ts'
import { Shown } from './shown.ts'
import { statusOf } from './status.fixture.ts'

/** What stands on a terminal after this was written: line feeds, cursor up, clear to the end. Anything else is refused. */
function screenAfter(written: string): string[] {
  const lines: string[] = ['']
  let row = 0
  // oxlint-disable-next-line no-control-regex -- control sequences are what this is about
  for (const [token] of written.matchAll(/\u001b\[(?:\d+A|0J)|\r|\n|[^\u001b\r\n]+/g)) {
    if (token === '\n') lines[++row] ??= ''
    else if (token.endsWith('A') && token.startsWith('\u001b')) row -= Number.parseInt(token.slice(2), 10)
    else if (token === '\u001b[0J') lines.length = row
    else if (token !== '\r') lines[row] = (lines[row] ?? '') + token
    assert.ok(row >= 0)
  }
  return lines.filter((l) => l !== undefined && l !== '')
}

test('the log scrolls above, the view stands below, drawn once', () => {
  const act = fc.oneof(
    fc.record({ print: fc.constantFrom('log a', 'log b', 'log c') }),
    fc.record({ draw: fc.array(fc.constantFrom('view 1', 'view 2', 'view 3'), { maxLength: 4 }) }),
  )
  fc.assert(
    fc.property(fc.array(act), (acts) => {
      let written = ''
      const screen = new Screen((text) => (written += text))
      const log: string[] = []
      let view: readonly string[] = []
      for (const a of acts) {
        if ('print' in a) log.push(a.print)
        else view = a.draw
        if ('print' in a) screen.print(a.print)
        else screen.draw(a.draw)
      }
      assert.deepEqual(screenAfter(written), [...log, ...view])
    }),
  )
})

test('on a terminal a line of the app cannot touch the view', () => {
  let written = ''
  const terminal = fakeTerminal({ width: 60, rows: 24 })
  const shown = new Shown(
    terminal,
    () => 0,
    (text) => (written += text),
  )
  shown.phase('starting')
  shown.told({ told: 'running', url: 'http://127.0.0.1:1', written: [], grace: 0 })
  shown.line('\u001b[32mgreen\u001b[0m \u001b[2J\u001b[10A\r', 'out')
  const lines = screenAfter(written)
  assert.deepEqual(lines[0], 'green \\x1b[2J\\x1b[10A\\r')
  assert.match(lines[1]!, /^fairlead dev {2}http:\/\/127\.0\.0\.1:1/)
  assert.equal(lines.length, 2)
})

test('rates begin anew with each run, and the faults of the last one go', () => {
  let written = ''
  let now = 0
  const terminal = fakeTerminal({ width: 100, rows: 24 })
  const shown = new Shown(
    terminal,
    () => now,
    (text) => (written += text),
  )
  const status = (count: number): void => {
    now += 1_000
    shown.told({ told: 'status', status: statusOf({ topics: 1, count }) })
  }
  shown.phase('starting')
  status(100)
  status(150)
  shown.line(JSON.stringify({ time: '2026-01-01T00:00:00Z', level: 'error', event: 'journal.trouble' }), 'err')
  shown.draw()
  assert.match(screenAfter(written).join('\n'), /topic-0 +150 +50\.0\/s[^]*LAST FAULTS\n00:00:00 journal\.trouble/)
  shown.phase('starting')
  status(10)
  const after = screenAfter(written).slice(1).join('\n')
  assert.match(after, /1 restart[^]*topic-0 +10$/)
  assert.doesNotMatch(after, /LAST FAULTS/)
})

test('without a terminal there are lines only', () => {
  const terminal = fakeTerminal()
  const shown = new Shown(
    terminal,
    () => 0,
    () => assert.fail('control sequences'),
  )
  shown.phase('starting')
  shown.told({ told: 'running', url: 'http://127.0.0.1:1', written: [], grace: 0 })
  shown.line('{"time":"2026-01-01T00:00:00Z","level":"info","event":"handler","text":"hello"}', 'err')
  shown.phase('stopped', 2)
  assert.deepEqual(terminal.lines, [
    'fairlead dev listens on http://127.0.0.1:1',
    '00:00:00 info handler text=hello',
    'fairlead dev the app ended with code 2; waiting for a change',
  ])
})
