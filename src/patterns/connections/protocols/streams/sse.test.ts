import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import { EventParser } from './sse.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function parse(...chunks: (string | Uint8Array)[]): { events: [string, string, string][]; parser: EventParser } {
  const parser = new EventParser(1_000)
  const events = chunks.flatMap((c) =>
    [...parser.feed(typeof c === 'string' ? encoder.encode(c) : c)].map((e): [string, string, string] => [
      e.event,
      decoder.decode(e.data),
      e.id,
    ]),
  )
  return { events, parser }
}
const data = (...chunks: (string | Uint8Array)[]): string[] => parse(...chunks).events.map(([, d]) => d)

test('reads the examples of the standard as the standard says', () => {
  assert.deepEqual(data('data: YHOO\ndata: +2\ndata: 10\n\n'), ['YHOO\n+2\n10'])
  const { events, parser } = parse(
    ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n',
  )
  assert.deepEqual(events, [
    ['message', 'first event', '1'],
    ['message', 'second event', ''],
    ['message', ' third event', ''],
  ])
  assert.equal(parser.lastId, '')
  assert.deepEqual(data('data\n\ndata\ndata\n\ndata:'), ['', '\n'])
  assert.deepEqual(data('data:test\n\ndata: test\n\n'), ['test', 'test'])
})

test('takes LF, CR and CRLF as ends of lines, mixed', () => {
  assert.deepEqual(data('data:a\rdata:b\r\ndata:c\n\r\rdata:d\r\n\r\n'), ['a\nb\nc', 'd'])
})

test('drops one byte order mark at the very start, and only there', () => {
  assert.deepEqual(data('\ufeffdata: a\n\n\ufeffdata: b\n\ndata: c\n\n'), ['a', 'c'])
})

test('resets the name of an event, keeps its id, and names a nameless one message', () => {
  assert.deepEqual(parse('event: add\nid: 7\ndata: 1\n\nevent:\ndata: 2\n\nevent: gone\n\ndata: 3\n\n').events, [
    ['add', '1', '7'],
    ['message', '2', '7'],
    ['message', '3', '7'],
  ])
})

test('ignores unknown fields, names that are not exact, an id with NUL and a retry that is no number', () => {
  const { events, parser } = parse('Data: a\n data: b\nid: a\u0000b\nretry: 1s\nfoo\nretry: -1\nretry:\ndata: c\n\n')
  assert.deepEqual([events, parser.retry, parser.lastId], [[['message', 'c', '']], undefined, ''])
  assert.equal(parse('retry: 2500\n').parser.retry, 2_500)
})

test('an id counts from its blank line on, with or without data; half an event leaves nothing', () => {
  const { events, parser } = parse('id: 1\ndata: a\n\nid: 2\n\nid: 3\ndata: b\n')
  assert.deepEqual([events, parser.lastId], [[['message', 'a', '1']], '2'])
})

test('gives the same events wherever the chunks are cut, and never throws on any bytes within the bounds', () => {
  const piece = fc.constantFrom(
    'data',
    'event',
    'id',
    'retry',
    ':',
    ' ',
    '\n',
    '\r',
    '\r\n',
    '\n\n',
    'é',
    '\ufeff',
    '7',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.nat({ max: 80 }), fc.uint8Array(), (pieces, at, noise) => {
      const bytes = encoder.encode(pieces.join(''))
      assert.deepEqual(parse(bytes.slice(0, at), bytes.slice(at)).events, parse(bytes).events)
      parse(noise)
    }),
  )
})

test('bounds a line, the data of an event however many lines it has, and an id', () => {
  const tooLarge = (e: unknown): boolean => isFault(e, 'connection.response') && e.detail['reason'] === 'too-large'
  assert.throws(() => data(`data: ${'x'.repeat(1_000)}\n\n`), tooLarge)
  assert.throws(() => data('data\n'.repeat(1_002)), tooLarge)
  assert.equal(data(`${'data\n'.repeat(1_001)}\n`)[0]!.length, 1_000)
  const parser = new EventParser(10_000)
  assert.throws(() => [...parser.feed(encoder.encode(`id:${'i'.repeat(4_097)}\n`))], tooLarge)
})
