import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fault, isFault } from '#kernel/fault.ts'
import { World, type Member } from './world.fixture.ts'

const down = (): never => {
  throw fault('connection.unavailable')
}

/** One call: what came of it. */
async function tried(world: World, m: Member): Promise<string> {
  let outcome: string | undefined
  m.call().then(
    () => (outcome = 'ok'),
    (e: unknown) => (outcome = isFault(e) ? e.code : String(e)),
  )
  for (let i = 0; i < 40 && outcome === undefined; i++) await world.clock.advance(10)
  return outcome ?? 'waits'
}

async function fleet(seed: number, processes: number): Promise<World> {
  const world = new World({ seed })
  for (let i = 0; i < processes; i++) await world.join()
  return world
}

const states = (world: World): readonly string[] =>
  world.members.filter((m) => m.alive).map((m) => m.pipeline.breaker!.state)

async function opened(world: World, by: Member): Promise<void> {
  by.answer = down
  for (let i = 0; i < 5; i++) assert.equal(await tried(world, by), 'connection.unavailable')
  assert.equal(by.pipeline.breaker!.state, 'open')
}

test('open in one process is open in all within a second, and nothing is sent', async () => {
  const world = await fleet(1, 5)
  for (const m of world.members) m.answer = down
  await opened(world, world.members[2]!)
  await world.clock.advance(1_000)
  assert.deepEqual(states(world), ['open', 'open', 'open', 'open', 'open'])
  const sent = world.sends.length
  for (const m of world.members) assert.equal(await tried(world, m), 'resilience.breaker_open')
  assert.equal(world.sends.length, sent)
  await world.close()
})

test('one probe in the fleet when the open time is over; its failure opens for all and longer, its success closes for all', async () => {
  const world = await fleet(2, 6)
  for (const m of world.members) m.answer = down
  await opened(world, world.members[0]!)
  await world.clock.advance(31_000)
  let sent = world.sends.length
  const all = () =>
    Promise.all(world.members.flatMap((m) => [m.call(), m.call(), m.call()]).map((c) => c.catch(() => {})))
  let done = all()
  await world.clock.advance(1_500)
  await done
  assert.equal(world.sends.length - sent, 1, 'one probe')
  assert.deepEqual(new Set(states(world)), new Set(['open']))
  // Twice as long now, for everybody.
  await world.clock.advance(31_000)
  done = all()
  await world.clock.advance(1_500)
  await done
  assert.equal(world.sends.length - sent, 1)
  await world.clock.advance(30_000)
  for (const m of world.members) m.answer = () => 'well'
  sent = world.sends.length
  done = all()
  await world.clock.advance(1_500)
  await done
  assert.equal(world.sends.length - sent, 1)
  assert.deepEqual(new Set(states(world)), new Set(['closed']))
  await world.close()
})

test('a prober that dies passes its turn on', async () => {
  const world = await fleet(3, 3)
  const [a, b] = world.members as [Member, Member]
  for (const m of world.members) m.answer = () => new Promise(() => {})
  a.answer = down
  await opened(world, a)
  await world.clock.advance(31_000)
  void b.call().catch(() => {})
  await world.clock.advance(500)
  const sent = world.sends.length
  assert.equal(await tried(world, world.members[2]!), 'resilience.breaker_open')
  b.kill()
  world.members[2]!.answer = () => 'well'
  await world.clock.advance(61_000)
  assert.equal(await tried(world, world.members[2]!), 'ok')
  assert.equal(world.sends.length, sent + 1)
  await world.clock.advance(1_000)
  assert.deepEqual(states(world), ['closed', 'closed'])
  await world.close()
})

test('a process that alone sees failures opens it for itself: another asks once, is answered, and all but the one go on', async () => {
  const world = await fleet(4, 4)
  const [sick, well, idle] = world.members as [Member, Member, Member]
  for (let i = 0; i < 20; i++) assert.equal(await tried(world, well), 'ok')
  for (let round = 0; round < 3; round++) {
    await opened(world, sick)
    await world.clock.advance(1_000)
    // The next call of the one that was answered lately is the second opinion.
    assert.equal(await tried(world, well), 'ok')
    await world.clock.advance(1_000)
    assert.equal(await tried(world, idle), 'ok')
    assert.deepEqual(states(world), ['open', 'closed', 'closed', 'closed'])
    // It probes for itself, and is well again.
    await world.clock.advance(61_000)
    sick.answer = () => 'well'
    assert.equal(await tried(world, sick), 'ok')
    await world.clock.advance(1_000)
    assert.deepEqual(states(world), ['closed', 'closed', 'closed', 'closed'])
  }
  await world.close()
})

test('a busy process is not even asked: what is answered after the news speaks against it', async () => {
  const world = await fleet(5, 3)
  const [sick, busy] = world.members as [Member, Member]
  let refused = 0
  let stop = false
  const load = (async () => {
    while (!stop) {
      for (let i = 0; i < 3; i++) busy.call().catch(() => refused++)
      await new Promise<void>((resolve) => world.clock.after(5, resolve))
    }
  })()
  await world.clock.advance(500)
  await opened(world, sick)
  await world.clock.advance(2_000)
  stop = true
  await world.clock.advance(100)
  await load
  assert.deepEqual(states(world), ['open', 'closed', 'closed'])
  assert.ok(refused <= 12, `${refused} were refused`)
  await world.close()
})

test('a second opinion that fails confirms it: one call more in the whole fleet, and open no longer than the first time', async () => {
  const world = await fleet(6, 5)
  for (const m of world.members) for (let i = 0; i < 3; i++) assert.equal(await tried(world, m), 'ok')
  for (const m of world.members) m.answer = down
  await opened(world, world.members[0]!)
  await world.clock.advance(1_000)
  const sent = world.sends.length
  for (let i = 0; i < 10; i++) for (const m of world.members) await tried(world, m)
  assert.equal(world.sends.length - sent, 1)
  assert.deepEqual(new Set(states(world)), new Set(['open']))
  await world.clock.advance(31_000)
  for (const m of world.members) m.answer = () => 'well'
  assert.equal(await tried(world, world.members[3]!), 'ok')
  await world.close()
})

test('without the store each process goes by itself: it opens, probes and closes, and hangs on nothing', async () => {
  const world = await fleet(7, 3)
  for (const m of world.members) m.way.cut = true
  await world.clock.advance(12_000)
  await opened(world, world.members[0]!)
  assert.equal(await tried(world, world.members[1]!), 'ok')
  world.members[0]!.answer = () => 'well'
  await world.clock.advance(31_000)
  assert.equal(await tried(world, world.members[0]!), 'ok')
  assert.deepEqual(states(world), ['closed', 'closed', 'closed'])
  await world.close()
})
