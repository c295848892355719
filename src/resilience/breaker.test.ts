import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isFault } from '#kernel/fault.ts'
import { breaker, Breaker, refused, type BreakerChange, type BreakerPolicy, type BreakerRecord } from './breaker.ts'

const only = (rule: Parameters<typeof breaker>[0]): BreakerPolicy =>
  breaker({ failures: 'off', consecutive: 'off', rate: 'off', ...rule })

function fail(b: Breaker, now: number, times: number): void {
  for (let i = 0; i < times; i++) b.fail(now, b.admit(now))
}

test('defaults are those of the design', () => {
  assert.deepEqual(breaker(), {
    policy: 'breaker',
    failures: 5,
    within: '60s',
    consecutive: 5,
    rate: 0.5,
    calls: 10,
    openFor: '30s',
    maxOpen: '60s',
  })
  assert.ok(Object.isFrozen(breaker()))
})

test('opens at 5 failures in a row, however long they took', () => {
  const b = new Breaker(only({ consecutive: 5 }))
  for (let i = 0; i < 4; i++) fail(b, i * 1_000_000, 1)
  assert.equal(b.state, 'closed')
  fail(b, 9_000_000, 1)
  assert.equal(b.state, 'open')
})

test('a success ends the row', () => {
  const b = new Breaker(only({ consecutive: 5 }))
  fail(b, 0, 4)
  b.succeed(b.admit(0))
  fail(b, 0, 4)
  assert.equal(b.state, 'closed')
})

test('opens at 5 failures within 60 s among any number of successes, not when they are spread wider', () => {
  const b = new Breaker(only({ failures: 5 }))
  for (const at of [0, 20_000, 40_000, 59_000, 60_000, 80_000]) {
    for (let i = 0; i < 100; i++) b.succeed(b.admit(at))
    fail(b, at, 1)
    assert.equal(b.state, 'closed', `at ${at}`)
  }
  fail(b, 80_001, 1)
  assert.equal(b.state, 'open')
})

test('opens when more than half of at least 10 calls failed, not at exactly half and not at 9 calls', () => {
  const half = new Breaker(only({ rate: 0.5, calls: 10 }))
  for (let i = 0; i < 20; i++) {
    half.succeed(half.admit(0))
    fail(half, 0, 1)
  }
  assert.equal(half.state, 'closed')
  fail(half, 0, 1)
  assert.equal(half.state, 'open')
  const few = new Breaker(only({ rate: 0.5, calls: 10 }))
  fail(few, 0, 9)
  assert.equal(few.state, 'closed')
  fail(few, 0, 1)
  assert.equal(few.state, 'open')
})

test('open, it refuses for 30 s, then lets one probe through and refuses the others', () => {
  const b = new Breaker(breaker())
  fail(b, 1_000, 5)
  assert.equal(b.openUntil, 31_000)
  assert.equal(b.admit(30_999), refused)
  assert.equal(b.retryAfter(30_000), 1_000)
  const probe = b.admit(31_000)
  assert.notEqual(probe, refused)
  assert.equal(b.state, 'half-open')
  assert.equal(b.admit(31_000), refused)
  b.succeed(probe)
  assert.equal(b.state, 'closed')
  assert.notEqual(b.admit(31_001), refused)
})

test('the open time doubles up to 60 s with each failed probe and starts again after closing', () => {
  const b = new Breaker(breaker())
  fail(b, 0, 5)
  b.fail(30_000, b.admit(30_000))
  assert.equal(b.openUntil, 90_000)
  b.fail(90_000, b.admit(90_000))
  assert.equal(b.openUntil, 150_000)
  b.succeed(b.admit(150_000))
  fail(b, 200_000, 5)
  assert.equal(b.openUntil, 230_000)
})

test('what was counted is forgotten when it closes', () => {
  const b = new Breaker(breaker())
  fail(b, 0, 5)
  b.succeed(b.admit(30_000))
  fail(b, 30_001, 4)
  assert.equal(b.state, 'closed')
})

test('a cancelled probe decides nothing: the next call probes at once', () => {
  const b = new Breaker(breaker())
  fail(b, 0, 5)
  const probe = b.admit(30_000)
  b.forget(30_001, probe)
  assert.equal(b.state, 'half-open')
  const second = b.admit(30_002)
  assert.notEqual(second, refused)
  b.succeed(probe)
  assert.equal(b.state, 'half-open', 'the late result of the first probe does not count')
  b.fail(30_003, second)
  assert.equal(b.state, 'open')
})

test('a probe that does not end within the open time loses its turn', () => {
  const b = new Breaker(breaker())
  fail(b, 0, 5)
  const hung = b.admit(30_000)
  assert.equal(b.admit(59_999), refused)
  const second = b.admit(60_000)
  assert.notEqual(second, refused)
  b.fail(60_001, hung)
  assert.equal(b.state, 'half-open')
  b.succeed(second)
  assert.equal(b.state, 'closed')
})

test('results of calls that began before a change of state are not counted', () => {
  const b = new Breaker(breaker())
  const early = Array.from({ length: 20 }, () => b.admit(0))
  for (const token of early) b.fail(10, token)
  assert.equal(b.openUntil, 30_010, 'the fifth opened it, the other fifteen did not prolong it')
  const probe = b.admit(30_010)
  b.succeed(early[0]!)
  assert.equal(b.state, 'half-open')
  b.succeed(probe)
  b.fail(30_011, early[1]!)
  fail(b, 30_012, 4)
  assert.equal(b.state, 'closed')
})

test('isolated by hand it refuses until closed by hand', () => {
  const b = new Breaker(breaker())
  const running = b.admit(0)
  b.isolate()
  b.succeed(running)
  assert.equal(b.admit(1e12), refused)
  assert.deepEqual(b.export(0), { state: 'isolated', left: 0, openings: 0 })
  b.close()
  assert.notEqual(b.admit(0), refused)
})

test('its state goes to another process as a small plain record and comes back the same', () => {
  const a = new Breaker(breaker())
  fail(a, 0, 5)
  a.fail(30_000, a.admit(30_000))
  const record = JSON.parse(JSON.stringify(a.export(50_000))) as BreakerRecord
  assert.deepEqual(record, { state: 'open', left: 40_000, openings: 2 })
  const b = new Breaker(breaker())
  b.restore(record, 1_000_000)
  assert.equal(b.admit(1_039_999), refused)
  b.fail(1_040_000, b.admit(1_040_000))
  assert.equal(b.openUntil, 1_100_000, 'the open time stays grown')
  // Half-open elsewhere: the probe is theirs until it had its time.
  const c = new Breaker(breaker())
  c.restore({ state: 'half-open', left: 5_000, openings: 1 }, 0)
  assert.equal(c.admit(4_999), refused)
  assert.notEqual(c.admit(5_000), refused)
  c.restore({ state: 'closed', left: 0, openings: 0 }, 5_001)
  assert.equal(c.state, 'closed')
})

test('tells each change of state once', () => {
  const changes: BreakerChange[] = []
  const b = new Breaker(breaker(), (c) => changes.push(c))
  fail(b, 0, 5)
  b.forget(30_000, b.admit(30_000))
  b.fail(30_000, b.admit(30_000))
  b.succeed(b.admit(90_000))
  assert.deepEqual(
    changes.map((c) => `${c.from}>${c.to} ${c.openFor}`),
    ['closed>open 30000', 'open>half-open 0', 'half-open>open 60000', 'open>half-open 0', 'half-open>closed 0'],
  )
})

/** The three rules as one would say them, over a list of everything that happened since it was last closed. */
class Model {
  state: 'closed' | 'open' | 'half-open' = 'closed'
  era = 0
  events: { at: number; ok: boolean }[] = []
  openings = 0
  until = 0
  latest = 0
  readonly p: { failures: number; within: number; consecutive: number; rate: number; calls: number }

  constructor(p: Model['p']) {
    this.p = p
  }
  admit(now: number): number | undefined {
    this.latest = now
    if (this.state === 'closed') return this.era
    if (now < this.until) return undefined
    this.state = 'half-open'
    this.until = now + this.openTime()
    return ++this.era
  }
  openTime(): number {
    return Math.min(60_000, 30_000 * 2 ** Math.max(0, this.openings - 1))
  }
  end(now: number, era: number, how: 'ok' | 'fail' | 'nothing'): void {
    if (era !== this.era) return
    if (this.state === 'half-open') {
      if (how === 'nothing') this.until = now
      else if (how === 'fail') return this.open(now)
      else {
        this.state = 'closed'
        this.until = 0
        this.openings = 0
        this.events = []
      }
      this.era++
      return
    }
    if (how === 'nothing') return
    if (how === 'fail') this.latest = now
    this.events.push({ at: this.latest, ok: how === 'ok' })
    if (how === 'fail' && this.trips(now)) this.open(now)
  }
  trips(now: number): boolean {
    const { failures, within, consecutive, rate, calls } = this.p
    if (this.events.slice(-consecutive).filter((e) => !e.ok).length >= consecutive) return true
    if (this.events.filter((e) => !e.ok && e.at > now - within).length >= failures) return true
    // The window of the rate moves in sixtieths of itself.
    const width = within / 60
    const seen = this.events.filter((e) => Math.floor(e.at / width) > Math.floor(now / width) - 60)
    return seen.length >= calls && seen.filter((e) => !e.ok).length > rate * seen.length
  }
  open(now: number): void {
    this.state = 'open'
    this.openings++
    this.until = now + this.openTime()
    this.events = []
    this.era++
  }
}

test('decides like the three rules OR-ed over a list of everything that happened', () => {
  const rules = fc.record({
    failures: fc.integer({ min: 2, max: 8 }),
    within: fc.constantFrom(6_000, 60_000),
    consecutive: fc.integer({ min: 2, max: 8 }),
    rate: fc.constantFrom(0.25, 0.5, 0.8),
    calls: fc.integer({ min: 2, max: 12 }),
  })
  const step = fc.record({
    wait: fc.oneof(fc.constant(0), fc.nat(2_000), fc.nat(2_000), fc.nat(40_000), fc.constant(30_000)),
    do: fc.constantFrom('begin', 'begin', 'end', 'end'),
    which: fc.nat(20),
    how: fc.constantFrom<('ok' | 'fail' | 'nothing')[]>('ok', 'fail', 'fail', 'nothing'),
  })
  const reached = new Set<string>()
  fc.assert(
    fc.property(rules, fc.array(step, { minLength: 20, maxLength: 150, size: 'max' }), (p, steps) => {
      const real = new Breaker(breaker({ ...p, within: `${p.within}ms` }))
      const model = new Model(p)
      const running: { token: number; era: number }[] = []
      let now = 0
      for (const s of steps) {
        now += s.wait
        if (s.do === 'begin') {
          const token = real.admit(now)
          const era = model.admit(now)
          assert.equal(token === refused, era === undefined)
          if (era !== undefined) running.push({ token, era })
        } else if (running.length > 0) {
          const [call] = running.splice(s.which % running.length, 1)
          if (s.how === 'ok') real.succeed(call!.token)
          else if (s.how === 'fail') real.fail(now, call!.token)
          else real.forget(now, call!.token)
          model.end(now, call!.era, s.how)
        }
        assert.equal(real.state, model.state)
        assert.equal(real.openUntil, model.until)
        reached.add(model.state)
      }
    }),
    { numRuns: 500 },
  )
  assert.equal(reached.size, 3)
})

test('refuses options that are unknown, out of range or contradict each other, all at once', () => {
  assert.throws(
    () => breaker({ failures: 0, openfor: '3s', rate: 2 } as never),
    (e) =>
      isFault(e, 'config.option') && /failures/.test(e.message) && /openFor/.test(e.message) && /rate/.test(e.message),
  )
  assert.throws(() => breaker({ openFor: '50s', maxOpen: '40s' }), /maxOpen/)
  assert.throws(() => only({}), /all three rules are off/)
  assert.equal(breaker({ openFor: '5m' }).maxOpen, '5m')
})
