import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fairlead, type App } from 'fairlead'
import { drop, newSchema, server } from '#adapters/stores/postgres/open.fixture.ts'
import { start, type Running } from '#cli/child.fixture.ts'
import { jobs, partitions, storeAt } from './fleet.fixture.ts'

const file = fileURLToPath(new URL('./fleet.fixture.ts', import.meta.url))

const stores = ['one file', 'PostgreSQL'] as const

/** Processes over one store; the test itself publishes and looks, and works nothing. */
async function fleet(t: TestContext, on: (typeof stores)[number]) {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-'))
  const schema = newSchema()
  const at: [string, string?] = on === 'PostgreSQL' ? [(await server()).url, schema] : [join(folder, 'jobs.db')]
  const app: App = await fairlead({ store: storeAt(...at), use: [jobs], work: false, log: { write: () => {} } })
  const members: Running[] = []
  let sent = 0
  return {
    app,
    members,
    join(): Running {
      const member = start(t, at as string[], { cwd: folder, file })
      members.push(member)
      return member
    },
    /** A burst of jobs: the next number of each of 40 keys. */
    async publish(rounds: number): Promise<number> {
      for (let i = 0; i < rounds; i++, sent++)
        await app.publishMany(
          jobs,
          Array.from({ length: 40 }, (_, k) => ({ key: `k${k}`, n: sent })),
        )
      return sent
    },
    async [Symbol.asyncDispose]() {
      for (const m of members) m.signal('SIGKILL')
      await Promise.all(members.map((m) => m.ended))
      await app[Symbol.asyncDispose]()
      if (on === 'PostgreSQL') await drop(schema)
      rmSync(folder, { recursive: true })
    },
  }
}

type Handled = { readonly key: string; readonly n: number; readonly began: bigint; readonly ended: bigint }

function handledOf(out: string): Handled[] {
  return out.split('\n').flatMap((line) => {
    const [what, key, n, began, ended] = line.split(' ')
    return what === 'handled' ? [{ key: key!, n: Number(n), began: BigInt(began!), ended: BigInt(ended!) }] : []
  })
}

for (const on of stores) {
  test(`processes on ${on} share the partitions, and lose and disorder nothing when one is killed, one ends and one joins`, async (t) => {
    await using f = await fleet(t, on)
    const a = f.join()
    await a.line(`owns ${partitions}.`)
    const b = f.join()
    await Promise.all([a.line('owns 8.'), b.line('owns 8.')])
    const c = f.join()
    await Promise.all([a, b, c].map((m) => Promise.race([m.line('owns 5.'), m.line('owns 6.')])))
    const { workers } = await f.app.operations.status()
    assert.deepEqual(
      workers.map((w) => w.partitions).toSorted((a, b) => a - b),
      [5, 5, 6],
    )
    assert.deepEqual(
      workers.map((w) => [w.outdated, w.skew]),
      Array.from({ length: 3 }, () => [false, 0]),
    )
    await f.publish(10)
    await Promise.all([a, b, c].map((m) => m.line('handled')))
    // One dies in the middle, one joins, another ends as told.
    const more = f.publish(10)
    b.signal('SIGKILL')
    await more
    await b.ended
    const d = f.join()
    await Promise.race([d.line('owns 5.'), d.line('owns 6.')])
    await f.publish(5)
    a.signal('SIGTERM')
    await a.line('ended')
    const rounds = await f.publish(5)
    await Promise.all([c.line('owns 8.'), d.line('owns 8.')])
    // All partitions have a key of which the last job ends last.
    for (let k = 0; k < 40; k++) {
      const last = `handled k${k} ${rounds - 1} `
      await Promise.race([c.line(last), d.line(last)])
    }
    for (const m of [c, d]) m.signal('SIGTERM')
    const outs = (await Promise.all(f.members.map((m) => m.ended))).map((e) => handledOf(e.out))
    const all = outs.flat()
    assert.deepEqual(
      outs.map((o) => o.length > 0),
      [true, true, true, true],
    )
    for (const [key, list] of Map.groupBy(all, (h) => h.key)) {
      const first = Array.from({ length: rounds }, (_, n) =>
        list
          .filter((h) => h.n === n)
          .reduce<Handled | undefined>((x, h) => (x && x.ended < h.ended ? x : h), undefined),
      )
      for (const [n, h] of first.entries()) {
        assert.ok(h, `${key} ${n} was not handled`)
        if (n > 0) assert.ok(first[n - 1]!.ended <= h.began, `${key} ${n} began before ${n - 1} had ended`)
      }
    }
    // Only what the killed one had begun, and not saved, may have been done twice.
    const killed = new Set(outs[1]!.map((h) => `${h.key} ${h.n}`))
    for (const [done, twice] of Map.groupBy(all, (h) => `${h.key} ${h.n}`))
      assert.ok(
        twice.length === 1 || (twice.length === 2 && killed.has(done)),
        `${done} was done ${twice.length} times`,
      )
    const status = await f.app.operations.status()
    assert.deepEqual(
      status.subscriptions.map((s) => [s.lag, s.parked]),
      [[0, { retry: 0, held: 0, behind: 0, dead: 0 }]],
    )
    assert.deepEqual(status.workers, [])
  })

  test(`a job that ends its process each time is dead after its attempts; a supervisor that starts it again is all that is needed, on ${on}`, async (t) => {
    await using f = await fleet(t, on)
    await f.app.publishMany(jobs, [
      ...Array.from({ length: 20 }, (_, k) => ({ key: `k${k}`, n: 0 })),
      { key: 'bad', n: 0, poison: true },
      { key: 'bad', n: 1 },
    ])
    let member = f.join()
    let deaths = 0
    for (;;) {
      const dead = member.line('event subscription.dead').then(
        () => true,
        () => false,
      )
      if (await dead) break
      assert.equal((await member.ended).code, 7)
      assert.ok(++deaths <= 4, 'it was not found')
      member = f.join()
    }
    assert.equal(deaths, 4)
    member.signal('SIGTERM')
    const outs = (await Promise.all(f.members.map((m) => m.ended))).flatMap((e) => handledOf(e.out))
    assert.deepEqual(new Set(outs.map((h) => h.key)), new Set(Array.from({ length: 20 }, (_, k) => `k${k}`)))
    const parked = await f.app.operations.parked()
    assert.deepEqual(
      parked.map((p) => [(p.data as { n: number }).n, p.state, p.attempts]),
      [
        [0, 'dead', 3],
        [1, 'behind', 0],
      ],
    )
  })
}
