import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { drop, newSchema, server } from '#adapters/stores/postgres/open.fixture.ts'
import { start } from '#cli/child.fixture.ts'
import { didOf, mostIn, upstream } from './limits.fixture.ts'

const file = fileURLToPath(new URL('./limits.fixture.ts', import.meta.url))
const limit = 300

for (const on of ['one file', 'PostgreSQL'] as const) {
  test(`eight processes on ${on} keep to one limit together, also when one is killed, one ends and one joins`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'limits-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const schema = newSchema()
    const at = on === 'PostgreSQL' ? [(await server()).url, schema] : [join(folder, 'limits.db')]
    if (on === 'PostgreSQL') t.after(() => drop(schema))
    let calls = 0
    const waiting: { readonly calls: number; readonly reached: () => void }[] = []
    const api = await upstream(() => {
      calls++
      for (const w of waiting) if (calls === w.calls) w.reached()
    })
    t.after(() => api.close())
    const reach = (more: number): Promise<void> =>
      new Promise((reached) => waiting.push({ calls: calls + more, reached }))
    const join8 = () => start(t, [api.origin, `${limit}/s`, ...at], { cwd: folder, file })
    const members = Array.from({ length: 8 }, join8)
    await Promise.all(members.map((m) => m.line('ready')))
    await Promise.all(members.map((m) => m.line('sent')))
    await reach(2 * limit)
    members[0]!.signal('SIGKILL')
    await reach(limit)
    members[1]!.signal('SIGTERM')
    const ninth = join8()
    members.push(ninth)
    await ninth.line('sent')
    await reach(2 * limit)
    for (const m of members) m.signal('SIGTERM')
    const did = (await Promise.all(members.map((m) => m.ended))).map((e) => didOf(e.out))
    const sends = did.flatMap((d) => d.sends).toSorted((a, b) => a - b)
    assert.ok(did.every((d) => d.sends.length > 0))
    // Each send is noted as it leaves. Between its permit and that lies the scheduler of a busy machine: 50 ms for it.
    const most = mostIn(sends, 950)
    assert.ok(most <= limit, `${most} in a second`)
    for (const [i, d] of did.entries()) if (i !== 0) assert.ok(d.commits! < 20, `${d.commits} commits a second`)
  })
}
