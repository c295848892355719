import { fault } from '#kernel/fault.ts'
import { World, type Member } from './world.fixture.ts'

/** Figures of one run in virtual time: the same each time. */
export type Figures = Readonly<Record<string, number>>

const never = { failures: 'off', consecutive: 'off', rate: 1 } as const

class Load {
  readonly world: World
  calls = 0
  readonly succeeded: number[] = []

  constructor(world: World) {
    this.world = world
  }

  async run(ms: number, perSecond: number): Promise<void> {
    const { world } = this
    for (let passed = 0; passed < ms; passed += 50) {
      for (const m of world.members) {
        for (let n = perSecond / world.members.length / 20; world.random.float() < n; n--) this.#one(m)
      }
      await world.clock.advance(50)
    }
  }

  /** Milliseconds after `from` until in a second 95 % of `perSecond` calls went well, and went on going well for five. */
  recovered(from: number, perSecond: number): number {
    const good = (at: number, span: number): number => this.succeeded.filter((t) => t >= at && t < at + span).length
    const until = this.world.clock.mono() - 6_000
    for (let at = from; at < until; at += 100) {
      if (good(at, 1_000) >= 0.95 * perSecond * 0.9 && good(at, 6_000) >= 0.95 * perSecond * 6) return at + 1_000 - from
    }
    return Infinity
  }

  #one(m: Member): void {
    this.calls++
    // As a connection does: what is refused is told so at once, and not kept until the breaker closes.
    const { state, openUntil } = m.pipeline.breaker!
    if (state === 'open' && openUntil > m.clock.mono()) return
    m.call(30_000).then(
      () => void this.succeeded.push(this.world.clock.mono()),
      () => {},
    )
  }
}

async function fleet(world: World, processes: number, answer: () => unknown): Promise<void> {
  for (let i = 0; i < processes; i++) (await world.join()).answer = answer
}

/** Their side fails every call for `minutes`, then is well again: eight processes, 80 calls a second. */
export async function outage(minutes = 10, seed = 1): Promise<Figures> {
  const world = new World({ seed, retry: {} })
  let down = false
  await fleet(world, 8, () => {
    if (down) throw fault('connection.unavailable')
    return 'well'
  })
  const load = new Load(world)
  const perSecond = 80
  await load.run(10_000, perSecond)
  down = true
  const [from, sent, called] = [world.clock.mono(), world.sends.length, load.calls]
  let opened = Infinity
  const look = (): void => {
    if (opened === Infinity && world.members.every((m) => m.pipeline.breaker!.state === 'open'))
      opened = world.clock.mono()
    else if (opened === Infinity) world.clock.after(10, look)
  }
  look()
  await load.run(minutes * 60_000, perSecond)
  const [sends, calls] = [world.sends.length - sent, load.calls - called]
  const fifth = world.sends[sent + 4]!.at
  down = false
  const back = world.clock.mono()
  const busiest = world.sends.length
  await load.run(90_000, perSecond)
  const after = world.sends.slice(busiest)
  const first = after[0]!.at
  await world.close()
  return {
    outage_sends: sends,
    outage_amplification: sends / calls,
    outage_open_in_all_ms: opened - fifth,
    outage_opened_after_ms: opened - from,
    recovery_ms: load.recovered(back, perSecond),
    recovery_after_probe_ms: load.recovered(first, perSecond),
    recovery_peak:
      Math.max(...after.map(({ at }) => after.filter((s) => s.at >= at && s.at < at + 1_000).length)) / perSecond,
  }
}

/** The same without a breaker: what the retry budget alone lets through. */
export async function budget(seed = 1): Promise<Figures> {
  const world = new World({ seed, retry: {}, breaker: never })
  await fleet(world, 8, () => {
    throw fault('connection.unavailable')
  })
  const load = new Load(world)
  await load.run(60_000, 160)
  await world.clock.advance(40_000)
  const figures = { budget_amplification: world.sends.length / load.calls }
  await world.close()
  return figures
}

/** For 30 s twice as many calls meet half the capacity; refusing one costs their side half as much as answering it. */
export async function halfCapacity(seed = 1): Promise<Figures> {
  const world = new World({ seed, retry: {} })
  const perSecond = 80
  let capacity = 120
  let spent = 0
  let second = 0
  await fleet(world, 8, () => {
    const now = Math.floor(world.clock.mono() / 1_000)
    if (now !== second) {
      second = now
      spent = 0
    }
    const room = spent + 1 <= capacity
    spent += room ? 1 : 0.5
    if (!room) throw fault('connection.unavailable')
    return 'well'
  })
  const load = new Load(world)
  await load.run(20_000, perSecond)
  capacity = 60
  const [sent, called] = [world.sends.length, load.calls]
  await load.run(30_000, 2 * perSecond)
  const shed = 1 - (world.sends.length - sent) / (load.calls - called)
  capacity = 120
  const over = world.clock.mono()
  await load.run(120_000, perSecond)
  await world.close()
  return { half_capacity_shed_percent: shed * 100, half_capacity_recovery_ms: load.recovered(over, perSecond) }
}

/** One process is told to wait 20 s while seven others want to send: what is sent after the second in which the news travels. */
export async function toldToWait(seed = 1): Promise<Figures> {
  const world = new World({ seed, retry: {} })
  await fleet(world, 8, () => 'well')
  const [told] = world.members as [Member]
  const load = new Load(world)
  await load.run(5_000, 80)
  told.answer = () => {
    throw fault('connection.throttled', { retryAfter: 20_000 })
  }
  void told.call(60_000).catch(() => {})
  await world.clock.advance(5)
  const from = world.clock.mono()
  told.answer = () => 'well'
  await load.run(19_900, 80)
  const meanwhile = world.sends.filter((s) => s.at > from)
  await load.run(10_000, 80)
  await world.close()
  return {
    throttled_sends: meanwhile.filter((s) => s.at > from + 1_000).length,
    throttled_heard_ms: Math.max(0, ...meanwhile.map((s) => s.at - from)),
  }
}
