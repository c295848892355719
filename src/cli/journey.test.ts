import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { errorOf, install, parsed, run, start, temporaryFolder } from './child.fixture.ts'

/** The warehouse of the project that `init` writes. */
async function warehouse(
  t: TestContext,
): Promise<{ readonly url: string; readonly keys: string[]; asked: Promise<unknown> }> {
  const keys: string[] = []
  const server = createServer((request, response) => {
    keys.push(String(request.headers['idempotency-key']))
    request.resume()
    request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"res_1"}'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, keys, asked: once(server, 'request') }
}

test('what init writes is checked, runs, accepts a signed webhook, shows it, and drains at Ctrl-C', async (t) => {
  const parent = temporaryFolder(t)
  const cwd = join(parent, 'shop')
  const written = parsed(await run(t, ['init', 'shop', '--json'], { cwd: parent })) as { files: string[] }
  assert.ok(written.files.includes('orders.ts'))
  assert.equal(errorOf(await run(t, ['init', 'shop', '--json'], { cwd: parent })).code, 'cli.exists')
  install(cwd)
  const secret = /SHOP_HOOK_SECRET=(\S+)/.exec(readFileSync(join(cwd, '.env'), 'utf8'))![1]!

  const checked = await run(t, ['check', '--secrets'], { cwd })
  assert.equal(checked.out, 'No problems: 1 connection, 1 webhook, 1 topic, 1 subscription.')

  const api = await warehouse(t)
  const env = { WAREHOUSE_URL: api.url }
  const app = start(t, ['start', '--port', '0', '--json'], { cwd, env })
  const { url, port } = JSON.parse(await app.line('"url"')) as { url: string; port: number }
  const sent = await run(t, ['1', `${url}/hooks/shop`], { cwd, file: join(cwd, 'send.mjs') })
  assert.match(sent.out, /^200 .* accepted$/)
  await api.asked
  await app.line('reserved')
  assert.equal(api.keys.length, 1)

  const [status, messages, taken, manifest] = await Promise.all([
    run(t, ['status', '--json'], { cwd }),
    run(t, ['messages', 'orders.placed', '--json'], { cwd }),
    run(t, ['start', '--port', String(port), '--json'], { cwd }),
    run(t, ['check', '--json'], { cwd }),
  ])
  type Accepted = { name: string; accepted: number }
  const shown = parsed(status) as { topics: Accepted[]; webhooks: Accepted[] }
  assert.equal(shown.topics.find((x) => x.name === 'orders.placed')?.accepted, 1)
  assert.deepEqual(
    shown.webhooks.map((w) => [w.name, w.accepted]),
    [['shop', 1]],
  )
  const [message] = parsed(messages) as { position: string; data: { sku: string } }[]
  assert.equal(message?.data.sku, 'tea-green')
  assert.deepEqual([taken.code, taken.out, errorOf(taken).code], [2, '', 'config.port'])
  const described = parsed(manifest) as { definitions: { name: string; schema?: object }[]; secrets: string[] }
  assert.deepEqual(described.secrets, ['SHOP_HOOK_SECRET'])
  assert.match(
    JSON.stringify(described.definitions.find((d) => d.name === 'orders.placed')),
    /"quantity":\{"type":"integer"/,
  )

  app.signal('SIGINT')
  const ended = await app.ended
  assert.equal(ended.code, 0)
  for (const text of [ended.out, ended.err, manifest.out, status.out]) assert.ok(!text.includes(secret))

  // Everything is still there when nothing runs, and the second run begins where the first one ended.
  const [calls, again] = await Promise.all([
    run(t, ['calls', '--json'], { cwd }),
    run(t, ['messages', message.position, '--json'], { cwd }),
  ])
  assert.deepEqual(
    (parsed(calls) as { outcome: string }[]).map((c) => c.outcome),
    ['ok'],
  )
  assert.deepEqual(parsed(again), message)
  const second = start(t, ['start', '--port', '0'], { cwd, env })
  await second.line('fairlead listens on http://127.0.0.1:')
  second.signal('SIGTERM')
  assert.equal((await second.ended).code, 0)
  assert.equal(api.keys.length, 1)
})

test('what init writes type-checks under its own strict options', async (t) => {
  const cwd = temporaryFolder(t)
  assert.equal((await run(t, ['init', 'shop'], { cwd })).code, 0)
  install(join(cwd, 'shop'))
  const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
  const types = fileURLToPath(new URL('../../node_modules/@types', import.meta.url))
  const output = await new Promise<string>((resolve) => {
    const args = [compiler, '-p', '.', '--pretty', 'false', '--typeRoots', types, '--types', 'node']
    execFile(process.execPath, args, { cwd: join(cwd, 'shop') }, (_, stdout, stderr) => resolve(stdout + stderr))
  })
  // The checkout is followed as source and judged by its own, stricter options elsewhere.
  assert.deepEqual(
    output.split('\n').filter((line) => /^(?:\w[\w.-]*\.ts\(|error)/.test(line)),
    [],
  )
})
