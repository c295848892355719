import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRate, type Rate } from '#resilience/rate.ts'
import { World, type Member } from './world.fixture.ts'

/** Calls that wait for a permit until their deadline must not open it: what is looked at here is the limit. */
const never = { failures: 'off', consecutive: 'off', rate: 1 } as const

/** Calls of a process, `perSecond` on average, for `seconds`; what fails is of no interest here. */
async function demand(world: World, rates: ReadonlyMap<Member, number>, seconds: number): Promise<void> {
  for (let i = 0; i < seconds * 20; i++) {
    for (const [m, perSecond] of rates) {
      for (let n = perSecond / 20; m.alive && world.random.float() < n; n--) m.call(2_000).catch(() => {})
    }
    await world.clock.advance(50)
  }
}

test('eight processes together use all of a limit and never more than it in any window, with a write or two a second each', async () => {
  const world = new World({ seed: 1, rates: ['200/s'], breaker: never })
  for (let i = 0; i < 8; i++) await world.join((i - 4) * 3_600_000)
  const all = new Map(world.members.map((m) => [m, 60]))
  await demand(world, all, 5)
  const [from, writes] = [world.sends.length, world.writes]
  await demand(world, all, 20)
  const used = (world.sends.length - from) / 20
  assert.ok(world.most(1_000) <= 200, `${world.most(1_000)} in a second`)
  assert.ok(used >= 190, `${used}/s were used`)
  assert.ok((world.writes - writes) / 20 / 8 < 2, `${(world.writes - writes) / 20 / 8} writes a second and process`)
  await world.close()
})

test('slots go to where the demand is, and come back', async () => {
  const world = new World({ seed: 2, rates: ['100/s'], breaker: never })
  for (let i = 0; i < 4; i++) await world.join()
  const [a, b] = world.members as [Member, Member]
  await demand(world, new Map([[a, 150]]), 5)
  let from = world.sends.length
  await demand(world, new Map([[a, 150]]), 10)
  assert.ok(world.sends.length - from >= 920, `${world.sends.length - from} of 1,000 by one alone`)
  await demand(world, new Map([[b, 150]]), 5)
  from = world.sends.length
  await demand(world, new Map([[b, 150]]), 10)
  assert.ok(world.sends.slice(from).filter((s) => s.by === b.id).length >= 900)
  assert.ok(world.most(1_000) <= 100)
  await world.close()
})

const worlds = Number(process.env['FAIRLEAD_WORLDS'] ?? 3)

test(`no window is exceeded in ${worlds} worlds of skewed clocks, bursts, crashes, goodbyes, joins and a store that fails`, async () => {
  const sets: readonly (readonly Rate[])[] = [['20/s'], ['8/s', '120/m'], ['3/s'], ['60/10s', '30/s'], ['5/2s']]
  let sends = 0
  for (let seed = 1; seed <= worlds; seed++) {
    const rates = sets[seed % sets.length]!
    const world = new World({ seed, rates, breaker: never, oneHost: seed % 2 === 0 })
    const { random } = world
    const load = new Map<Member, number>()
    const events: string[] = []
    for (let i = 0; i < 3; i++) load.set(await world.join((random.float() - 0.5) * 60_000), 10)
    let blind = 0
    for (let step = 0; step < 30; step++) {
      const living = world.members.filter((m) => m.alive)
      const one = living[Math.floor(random.float() * living.length)]!
      const dice = random.float()
      const event =
        dice < 0.12 && living.length < 8
          ? 'join'
          : dice < 0.2 && living.length > 1
            ? 'kill'
            : dice < 0.28 && living.length > 1
              ? 'stop'
              : dice < 0.4
                ? 'slow'
                : dice < 0.5
                  ? 'lossy'
                  : dice < 0.56
                    ? 'cut'
                    : dice < 0.6 && blind === 0
                      ? 'away'
                      : 'load'
      events.push(`${step} ${event} ${one.id} ${Math.round(world.clock.mono())}`)
      if (event === 'join') load.set(await world.join((random.float() - 0.5) * 60_000, blind > 0), 10)
      else if (event === 'kill') one.kill()
      else if (event === 'stop') {
        const stopped = one.stop()
        await world.clock.advance(300)
        void stopped
      } else if (event === 'slow') one.way.slow = random.float() < 0.5 ? 0 : 2_000
      else if (event === 'lossy') one.way.lossy = random.float() < 0.5 ? 0 : 0.3
      else if (event === 'cut') one.way.cut = true
      else if (event === 'away') {
        blind = 1 + Math.floor(random.float() * 20)
        for (const m of world.members) m.way.cut = true
      } else load.set(one, [0, 1, 5, 40][Math.floor(random.float() * 4)]!)
      await demand(world, load, 5)
      // One alone is cut off for less than the time in which it is taken for gone; all together for as long as it takes.
      if (blind > 0) blind--
      if (blind === 0) for (const m of world.members) m.way.cut = false
    }
    for (const rate of rates) {
      const { count, span } = parseRate(rate)!
      const most = world.most(span)
      assert.ok(most <= count, `seed ${seed}: ${most} in a window of ${rate}\n${events.join('\n')}`)
    }
    sends += world.sends.length
    await world.close()
  }
  assert.ok(sends > worlds * 200, `only ${sends} sends`)
})

test('what was sent within the hour counts after a restart, and after a crash; what was not sent is there', async () => {
  for (const end of ['stop', 'kill'] as const) {
    const world = new World({ seed: 9, rates: ['100/h'], breaker: never, oneHost: true })
    const first = await world.join()
    for (let i = 0; i < 40; i++) first.call().catch(() => {})
    await world.clock.advance(60_000)
    assert.equal(world.sends.length, 40)
    if (end === 'kill') first.kill()
    else {
      const stopped = first.stop()
      await world.clock.advance(1_000)
      await stopped
    }
    const second = await world.join()
    for (let i = 0; i < 100; i++) second.call(20_000).catch(() => {})
    await world.clock.advance(30_000)
    assert.ok(world.sends.length <= 100, `${world.sends.length} after a ${end}`)
    assert.ok(world.sends.length >= 85, `${world.sends.length} after a ${end}`)
    // An hour after the first forty, and a minute for the clocks, they are free again.
    await world.clock.advance(3_800_000 - world.clock.mono())
    for (let i = 0; i < 100; i++) second.call(20_000).catch(() => {})
    await world.clock.advance(30_000)
    assert.ok(world.sends.length > 100)
    assert.ok(world.most(3_600_000) <= 100)
    await world.close()
  }
})

test('a UTC day is one for all processes, however their clocks differ by seconds, and begins anew', async () => {
  const untilMidnight = 75_000
  const start = Date.UTC(2026, 0, 2) - untilMidnight
  const world = new World({ seed: 10, rates: ['300/day'], breaker: never, start })
  for (let i = 0; i < 4; i++) await world.join((i - 2) * 2_000)
  const load = new Map(world.members.map((m) => [m, 4]))
  const sent = (today: boolean): number => world.sends.filter((s) => s.at < untilMidnight === today).length
  await demand(world, load, 60)
  assert.ok(sent(true) <= 300 && sent(true) >= 285, `${sent(true)} on the first day`)
  await demand(world, load, 60)
  assert.ok(sent(true) <= 300)
  assert.ok(sent(false) > 100 && sent(false) <= 300, `${sent(false)} on the second day`)
  await world.close()
})
