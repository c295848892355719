import assert from 'node:assert/strict'
import dns from 'node:dns'
import { readFileSync } from 'node:fs'
import { createServer as createTcp, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTls } from 'node:tls'
import { afterEach, test, type TestContext } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import * as z from 'zod'
import { httpClient } from '#app/http/client.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import { uuid7 } from '#kernel/id.ts'
import { redactor } from '#kernel/redact.ts'
import { verdict } from '#patterns/connections/answers/verdict.ts'
import type { Rule } from '#patterns/connections/answers/classify.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'
import { openConnection } from '#patterns/connections/run.ts'
import { settle, virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'

/**
 * What can go wrong with one exchange (reset, silence, half an answer, another answer), over real sockets on loopback, names
 * resolved by a stub, time virtual. Each row says what it must be called, and whether it may be repeated: `always`, only
 * where twice is once (`safe`), or `never`.
 */
type Row = {
  readonly name: string
  readonly peer: Peer
  readonly expect: `${string} ${'always' | 'safe' | 'never'}` | 'ok'
  readonly detail?: Readonly<Record<string, unknown>>
  readonly host?: string
  readonly lookup?: Lookup
  readonly rules?: readonly Rule[]
  readonly options?: Partial<ConnectionOptions>
}
type Peer = { readonly kind: 'tcp' | 'tls' | 'none'; readonly socket: (socket: Socket) => void; readonly cert?: string }
type Lookup = (callback: (error: Error | null, addresses: { address: string; family: number }[]) => void) => void

const raw = (...parts: (string | Uint8Array)[]): Peer => ({
  kind: 'tcp',
  socket: (socket) =>
    socket.once('data', () => {
      for (const part of parts) socket.write(part)
    }),
})
const closing = (text: string, how: 'end' | 'reset'): Peer => ({
  kind: 'tcp',
  socket: (socket) =>
    socket.once('data', () => {
      if (how === 'end') return void socket.end(text)
      if (text === '') return void socket.resetAndDestroy()
      socket.write(text, () => void settle().then(() => socket.resetAndDestroy()))
    }),
})
const body = (content: string | Uint8Array, fields = ''): Peer => {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  return raw(`HTTP/1.1 200 OK\r\n${fields}content-length: ${bytes.byteLength}\r\n\r\n`, bytes)
}
const coded = (coding: string, bytes: Uint8Array): Peer => body(bytes, `content-encoding: ${coding}\r\n`)
const silent: Peer = { kind: 'tcp', socket: () => undefined }
const trickle = (head: string): Peer => ({
  kind: 'tcp',
  socket: (socket) => socket.once('data', () => (socket.write(head), trickling.add(socket))),
})
const trickling = new Set<Socket>()
const tls = (over: Partial<Peer> = {}): Peer => ({ kind: 'tls', socket: () => undefined, ...over })
const failing =
  (code: string): Lookup =>
  (done) =>
    done(Object.assign(new Error(code), { code }), [])
const good = '{"id":"a","n":1}'
const bomb = gzipSync(Buffer.alloc(64 * 1_048_576, '[1],'))
const rules: readonly Rule[] = [
  { status: 200, body: (b) => (b as { ok?: boolean }).ok === false, means: 'rejected' },
  { status: 403, body: (b) => (b as { code?: string }).code === 'token_expired', means: 'credential' },
  {
    status: [200, 403],
    body: (b) => typeof b === 'string' && /session (?:has )?expired/i.test(b),
    means: 'credential',
  },
]

const table: readonly Row[] = [
  // Nothing was sent.
  {
    name: 'the port refuses',
    peer: { kind: 'none', socket: () => undefined },
    expect: 'connection.unreachable always',
    detail: { phase: 'connect', reason: 'ECONNREFUSED' },
  },
  {
    name: 'the name is unknown',
    peer: silent,
    host: 'api.test',
    lookup: failing('ENOTFOUND'),
    expect: 'connection.unreachable always',
    detail: { phase: 'dns', reason: 'ENOTFOUND' },
  },
  {
    name: 'the name server fails',
    peer: silent,
    host: 'api.test',
    lookup: failing('EAI_AGAIN'),
    expect: 'connection.unreachable always',
    detail: { phase: 'dns', reason: 'EAI_AGAIN' },
  },
  {
    name: 'the name server is silent',
    peer: silent,
    host: 'api.test',
    lookup: () => undefined,
    expect: 'connection.unreachable always',
    detail: { phase: 'dns', reason: 'timeout' },
  },
  {
    name: 'every address refuses',
    peer: { kind: 'none', socket: () => undefined },
    host: 'api.test',
    lookup: (done) =>
      done(null, [
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.3', family: 4 },
      ]),
    expect: 'connection.unreachable always',
    detail: { phase: 'connect' },
  },
  {
    name: 'the first address refuses, the second answers',
    peer: body(good),
    host: 'api.test',
    lookup: (done) =>
      done(null, [
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]),
    expect: 'ok',
  },
  {
    name: 'the handshake never ends',
    peer: { ...silent, kind: 'tcp' },
    host: 'https',
    expect: 'connection.unreachable always',
    detail: { phase: 'tls', reason: 'timeout' },
  },
  {
    name: 'the peer resets in the handshake',
    peer: { kind: 'tcp', socket: (s) => s.once('data', () => s.resetAndDestroy()) },
    host: 'https',
    expect: 'connection.unreachable always',
    detail: { phase: 'tls', reason: 'ECONNRESET' },
  },
  {
    name: 'the certificate is of nobody we trust',
    peer: tls(),
    host: 'https',
    options: { tls: {} },
    expect: 'connection.tls always',
    detail: { phase: 'tls', reason: 'SELF_SIGNED_CERT_IN_CHAIN' },
  },
  {
    name: 'the certificate is for another name',
    peer: tls({ cert: 'test-other.pem' }),
    host: 'https',
    expect: 'connection.tls always',
    detail: { phase: 'tls', reason: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  },
  {
    name: 'there is no TLS at the port',
    peer: { kind: 'tcp', socket: (s) => s.once('data', () => s.end('HTTP/1.1 400 Bad Request\r\n\r\n')) },
    host: 'https',
    expect: 'connection.tls always',
    detail: { phase: 'tls' },
  },

  // It was sent, and nothing whole came back.
  {
    name: 'a reset before the answer',
    peer: closing('', 'reset'),
    expect: 'connection.cut safe',
    detail: { reason: 'ECONNRESET', reused: false },
  },
  { name: 'an end before the answer', peer: closing('', 'end'), expect: 'connection.cut safe' },
  {
    name: 'a reset within the headers',
    peer: closing('HTTP/1.1 200 OK\r\ncontent-', 'reset'),
    expect: 'connection.cut safe',
  },
  {
    name: 'an end within the headers',
    peer: closing('HTTP/1.1 200 OK\r\ncontent-', 'end'),
    expect: 'connection.cut safe',
  },
  { name: 'silence', peer: silent, expect: 'connection.timeout safe', detail: { phase: 'first-byte' } },
  {
    name: 'headers of one byte a second',
    peer: trickle('HTTP/1.1 200 OK\r\nx-pad: '),
    expect: 'connection.timeout safe',
    detail: { phase: 'first-byte' },
  },
  {
    name: 'silence after the headers',
    peer: raw('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'),
    expect: 'connection.timeout safe',
    detail: { phase: 'body' },
  },
  {
    name: 'silence in the middle of the body',
    peer: raw('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"id'),
    expect: 'connection.timeout safe',
    detail: { phase: 'body' },
  },
  {
    name: 'a body of one byte a second',
    peer: trickle('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n'),
    expect: 'connection.timeout safe',
    detail: { phase: 'body' },
  },
  {
    name: 'half a body, then the end',
    peer: closing('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"id":"a"', 'end'),
    expect: 'connection.response safe',
    detail: { reason: 'truncated', status: 200 },
  },
  {
    name: 'half a body, then a reset',
    peer: closing('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"id":"a"', 'reset'),
    expect: 'connection.response safe',
    detail: { reason: 'truncated' },
  },
  {
    name: 'chunks without the last one',
    peer: closing(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n${good}\r\n`, 'end'),
    expect: 'connection.response safe',
    detail: { reason: 'truncated' },
  },
  {
    name: 'a chunk of a length that is none',
    peer: raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n'),
    expect: 'connection.response safe',
    detail: { reason: 'protocol' },
  },
  {
    name: 'two lengths that contradict',
    peer: raw(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 16\r\n\r\n${good}`),
    expect: 'connection.response safe',
    detail: { reason: 'protocol' },
  },
  {
    name: 'a length and chunks',
    peer: raw(`HTTP/1.1 200 OK\r\ncontent-length: 16\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
    expect: 'connection.response safe',
    detail: { reason: 'protocol' },
  },
  {
    name: 'headers without end',
    peer: raw(`HTTP/1.1 200 OK\r\nx-pad: ${'x'.repeat(100_000)}\r\n\r\n`),
    expect: 'connection.response safe',
    detail: { reason: 'protocol' },
  },
  {
    name: 'another protocol',
    peer: closing('SSH-2.0-OpenSSH_9.9\r\n', 'end'),
    expect: 'connection.response safe',
    detail: { reason: 'protocol' },
  },

  // A whole answer that is not one.
  { name: 'gzip', peer: coded('gzip', gzipSync(good)), expect: 'ok' },
  { name: 'br', peer: coded('br', brotliCompressSync(good)), expect: 'ok' },
  {
    name: 'gzip in two members',
    peer: coded('gzip', Buffer.concat([gzipSync('{"id":"a",'), gzipSync('"n":1}')])),
    expect: 'ok',
  },
  {
    name: 'gzip that is none',
    peer: coded('gzip', Buffer.from(good)),
    expect: 'connection.response never',
    detail: { reason: 'encoding' },
  },
  {
    name: 'half of a gzip',
    peer: coded('gzip', gzipSync(good).subarray(0, 24)),
    expect: 'connection.response never',
    detail: { reason: 'encoding' },
  },
  {
    name: 'a gzip of 64 MiB in 64 KiB',
    peer: coded('gzip', bomb),
    expect: 'connection.response never',
    detail: { reason: 'too-large' },
  },
  {
    name: 'a gzip within a gzip',
    peer: coded('gzip, gzip', gzipSync(gzipSync(good))),
    expect: 'connection.response never',
    detail: { reason: 'encoding' },
  },
  {
    name: 'a coding that nobody asked for',
    peer: coded('zstd', Buffer.from(good)),
    expect: 'connection.response never',
    detail: { reason: 'encoding' },
  },
  {
    name: 'more than the limit',
    peer: body(`"${'x'.repeat(100_000)}"`),
    options: { maxBytes: 50_000 },
    expect: 'connection.response never',
    detail: { reason: 'too-large' },
  },
  {
    name: 'a page of HTML with status 200',
    peer: body('<!doctype html><p>Maintenance'),
    expect: 'connection.response never',
    detail: { reason: 'json' },
  },
  {
    name: 'half a JSON of the right length',
    peer: body('{"id":"a","n"'),
    expect: 'connection.response never',
    detail: { reason: 'json' },
  },
  { name: 'nothing with status 200', peer: body(''), expect: 'connection.response never', detail: { reason: 'shape' } },
  {
    name: 'JSON that is not UTF-8',
    peer: body(Uint8Array.of(0x22, 0xff, 0x22)),
    expect: 'connection.response never',
    detail: { reason: 'json' },
  },
  {
    name: 'JSON of 100,000 levels',
    peer: body('['.repeat(100_000)),
    expect: 'connection.response never',
    detail: { reason: 'json' },
  },
  {
    name: 'a key that reaches a prototype',
    peer: body('{"id":"a","n":1,"__proto__":{"admin":true}}'),
    expect: 'connection.response never',
    detail: { reason: 'json' },
  },
  {
    name: 'a field of another type',
    peer: body('{"id":"a","n":"many"}'),
    expect: 'connection.response never',
    detail: { reason: 'shape' },
  },
  {
    name: 'null where a value was declared',
    peer: body('{"id":null,"n":1}'),
    expect: 'connection.response never',
    detail: { reason: 'shape' },
  },
  { name: 'a field more', peer: body('{"id":"a","n":1,"new":{"deep":[1]}}'), expect: 'ok' },
  { name: 'JSON called text', peer: body(good, 'content-type: text/plain\r\n'), expect: 'ok' },

  // What they mean.
  {
    name: 'a redirect to elsewhere',
    peer: raw('HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/steal\r\ncontent-length: 0\r\n\r\n'),
    expect: 'connection.redirect never',
  },
  {
    name: 'a refusal whose body is cut',
    peer: closing('HTTP/1.1 422 No\r\ncontent-length: 99\r\n\r\n{"er', 'end'),
    expect: 'connection.rejected never',
  },
  {
    name: 'a gateway that gave up',
    peer: raw('HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n'),
    expect: 'connection.unavailable always',
  },
  {
    name: 'an error inside a 200',
    peer: body('{"ok":false,"error":"channel_not_found"}'),
    rules,
    expect: 'connection.rejected never',
  },
  {
    name: 'a token that has expired, said by 403',
    peer: raw('HTTP/1.1 403 No\r\ncontent-length: 24\r\n\r\n{"code":"token_expired"}'),
    rules,
    expect: 'connection.credential never',
  },
  {
    name: 'a session that has expired, said as text by 200',
    peer: body('Your session has expired.', 'content-type: text/plain\r\n'),
    rules,
    expect: 'connection.credential never',
  },
  {
    name: 'a token that has expired, said by a challenge',
    peer: raw('HTTP/1.1 403 No\r\nwww-authenticate: Bearer error="invalid_token"\r\ncontent-length: 0\r\n\r\n'),
    expect: 'connection.credential never',
  },
]

test('every fault of an exchange is called what it is, and repeated only where that is right', async (t) => {
  const wrong: string[] = []
  let overrun = 0
  for (const row of table) {
    const { outcome, late, answer } = await play(t, row)
    if (late !== undefined) overrun = Math.max(overrun, late)
    const [code, again] = row.expect.split(' ')
    if (code === 'ok') {
      if (outcome !== undefined || JSON.stringify(answer) !== good)
        wrong.push(`${row.name}: ${outcome?.code ?? JSON.stringify(answer)}`)
      continue
    }
    if (!outcome) {
      wrong.push(`${row.name}: taken for an answer, ${JSON.stringify(answer)}`)
      continue
    }
    const repeated = verdict(outcome, false).retry ? 'always' : verdict(outcome, true).retry ? 'safe' : 'never'
    const told = Object.entries(row.detail ?? {}).filter(([name, value]) => outcome.detail[name] !== value)
    if (outcome.code !== code || repeated !== again || told.length > 0)
      wrong.push(
        `${row.name}: ${outcome.code} ${repeated} ${JSON.stringify(outcome.detail)}, expected ${row.expect} ${JSON.stringify(row.detail)}`,
      )
  }
  t.diagnostic(`misclassified: ${wrong.length} of ${table.length}; at most ${overrun} ms past a deadline`)
  assert.deepEqual(wrong, [])
  assert.ok(overrun <= 1, `${overrun} ms past a deadline`)
})

test('a second answer that nobody asked for is never given to the next call', async () => {
  let answers = 0
  const twice = `HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n${good}`
  const at = await listening({
    kind: 'tcp',
    socket: (socket) =>
      socket.on('data', () => socket.write(answers++ === 0 ? twice + twice.replace('"a"', '"x"') : twice)),
  })
  const { open, api, close } = opened(`http://127.0.0.1:${at}`)
  for (let i = 0; i < 3; i++) assert.deepEqual(await open.call(api.read, {}), JSON.parse(good))
  await close()
})

test('a redirect is not followed: nobody else is asked, and nobody else sees the credential', async () => {
  let asked = 0
  const other = await listening({ kind: 'tcp', socket: () => asked++ })
  const at = await listening(
    raw(`HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:${other}/\r\ncontent-length: 0\r\n\r\n`),
  )
  const { open, api, close } = opened(`http://127.0.0.1:${at}`)
  await assert.rejects(open.call(api.read, {}), (e) => isFault(e, 'connection.redirect'))
  await close()
  assert.equal(asked, 0)
})

test('asks for a coding only where that was declared, and keeps the bound of a decoded answer to the byte', async () => {
  const asked: string[] = []
  const text = `"${'x'.repeat(4_998)}"`
  const at = await listening({
    kind: 'tcp',
    socket: (socket) =>
      socket.on('data', (data: Buffer) => {
        asked.push(/accept-encoding: (.*)\r/.exec(data.toString())![1]!)
        const bytes = gzipSync(text)
        socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bytes.byteLength}\r\n\r\n`)
        socket.write(bytes)
      }),
  })
  for (const [compressed, maxBytes] of [
    [false, 5_000],
    [true, 4_999],
  ] as const) {
    const { open, api, close } = opened(`http://127.0.0.1:${at}`, { compressed, maxBytes })
    const answer = open.call(api.plain, {})
    if (maxBytes === 5_000) assert.equal(await answer, text.slice(1, -1))
    else await assert.rejects(answer, (e) => isFault(e, 'connection.response') && e.detail['reason'] === 'too-large')
    await close()
  }
  assert.deepEqual(asked, ['identity', 'gzip, br'])
})

type Played = { readonly outcome: Fault | undefined; readonly answer: unknown; readonly late: number | undefined }

async function play(t: TestContext, row: Row): Promise<Played> {
  const port = await listening(row.peer)
  const { lookup } = row
  if (lookup) {
    t.mock.method(dns, 'lookup', (_name: string, _options: unknown, done: Parameters<Lookup>[0]) =>
      process.nextTick(lookup, done),
    )
  }
  const origin = row.host === 'https' ? `https://127.0.0.1:${port}` : `http://${row.host ?? '127.0.0.1'}:${port}`
  const { open, api, clock, close } = opened(origin, row.options, row.rules)
  let ended: number | undefined
  const call = open.call(api.read, {}).then(
    (answer) => ((ended = clock.mono()), { outcome: undefined, answer }),
    (error: unknown) => {
      ended = clock.mono()
      if (isFault(error)) return { outcome: error, answer: undefined }
      throw error
    },
  )
  const done = (): boolean => ended !== undefined
  // Where no deadline is to pass, whatever it takes: a long body is decoded on another thread.
  if (!/timeout/.test(row.expect + String(row.detail?.['reason']))) await quiet(done, 100_000)
  for (let second = 0; !done() && second < 40; second++) {
    await quiet(done)
    for (const socket of trickling) socket.write('1')
    if (trickling.size > 0) await quiet(done)
    if (!done()) await clock.advance(1_000)
  }
  const { outcome, answer } = await call
  const slow = trickling.size > 0
  trickling.clear()
  await close()
  t.mock.restoreAll()
  return { outcome, answer, late: overrunOf(outcome, ended!, slow) }
}

/** Virtual milliseconds between the deadline that a timeout speaks of and its end. */
function overrunOf(f: Fault | undefined, ended: number, slow: boolean): number | undefined {
  const { phase, reason } = f?.detail ?? {}
  if (f?.code === 'connection.unreachable' && reason === 'timeout') return Math.abs(ended - 3_000)
  if (f?.code !== 'connection.timeout') return undefined
  // 1 ms before the total of 30 s, so that it is the transport that speaks.
  return Math.abs(ended - (phase === 'body' && slow ? 29_999 : 10_000))
}

function opened(origin: string, options: Partial<ConnectionOptions> = {}, rules: readonly Rule[] = []) {
  const [clock, random] = [virtualClock(), seededRandom(1)]
  const current = options.tls === undefined ? { ca: [pem('test-ca.pem')] } : {}
  const http = httpClient({ clock, trust: () => ({ current }) })
  const api = connection('faulty', {
    baseUrl: origin,
    retry: false,
    rules,
    ...options,
    operations: {
      read: { http: 'GET /x', output: z.object({ id: z.string(), n: z.number() }) },
      plain: { http: 'GET /y' },
    },
  })
  const open = openConnection(api, {
    runtime: {
      clock,
      random,
      ids: uuid7(clock, random),
      http,
      redact: redactor(),
      log: { write: () => undefined },
      secrets: { read: () => Promise.resolve([]) },
    },
    record: () => undefined,
  })
  const close = async (): Promise<void> => {
    open.close()
    await http.close()
  }
  return { open, api, clock, close }
}

const servers = new Map<Server, Set<Socket>>()

afterEach(shut)

async function shut(): Promise<void> {
  for (const [server, sockets] of servers) {
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  }
  servers.clear()
}

/** The port of a peer; one that nobody listens on for `none`. */
async function listening(peer: Peer): Promise<number> {
  const sockets = new Set<Socket>()
  const take = (socket: Socket): void => {
    sockets.add(socket.on('error', () => undefined))
    peer.socket(socket)
  }
  const server =
    peer.kind === 'tls'
      ? createTls(
          { key: pem('test-server.key.pem'), cert: pem(peer.cert ?? 'test-server.pem') + pem('test-ca.pem') },
          take,
        )
      : createTcp(take)
  if (peer.kind === 'tls') server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  if (peer.kind === 'none') await new Promise((resolve) => server.close(resolve))
  else servers.set(server, sockets)
  return port
}

function pem(name: string): string {
  return readFileSync(new URL(`../src/app/http/fixtures/${name}`, import.meta.url), 'utf8')
}

/** Turns of the event loop until it is done, or until what the sockets had under way has surely arrived. */
async function quiet(done: () => boolean, turns = 30): Promise<void> {
  for (let i = 0; i < turns && !done(); i++) await settle()
}
