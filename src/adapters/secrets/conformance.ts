import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { describe, it } from 'node:test'
import type { Clock } from '#kernel/clock.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import type { Log } from '#kernel/log.ts'
import { redactor, type Redactor } from '#kernel/redact.ts'
import type { SecretValue } from '#kernel/secret.ts'
import type { OpenSecrets } from './port.ts'

/** A clock that the suite can move; `virtualClock` of the testing room is one. */
export type SuiteClock = Clock & { advance(ms: number): Promise<void>; readonly armed: number }

/** What the suite watches: everything that the source tells and teaches. */
export type SuiteWorld = { readonly clock: SuiteClock; readonly log: Log; readonly redact: Redactor }

/** A source over data of its own, and what can be done to that data from outside. `a` to `z` and `-` make a name. */
export type Subject = {
  readonly secrets: OpenSecrets
  /** Milliseconds, as configured. Each a second or more. */
  readonly refresh: number
  readonly keep: number
  /** Makes the value the current one. `overlap`: the one before it stays valid. */
  put(name: string, value: string, overlap: boolean): Promise<void>
  remove(name: string): Promise<void>
  /** From now on the source cannot be asked, or can be again. Absent: it is always there. */
  away?(is: boolean): Promise<void>
  /** How often secrets were read at the source. Absent: nobody counts. */
  asked?(): number
  close(): Promise<void>
}

/** What a source has not by its nature. `rotation`: its values are fixed when the process starts. */
export type Lack = 'rotation'

type Trial = SuiteWorld & Subject & { readonly taught: ReadonlySet<string>; readonly told: () => string }
type Case = { readonly name: string; readonly needs?: Lack | 'away' | 'asked'; run(t: Trial): Promise<void> }

const cases: readonly Case[] = [
  {
    name: 'K01 reads the current value under the name that was asked for, whatever characters it has',
    async run(t) {
      for (const value of ['first-value-1', 'ünïcode ✓ "quoted" \\ and #hash=', '{"not":"a field"}']) {
        await t.put('plain', value, false)
        await t.clock.advance(3 * t.refresh)
        assert.deepEqual(await read(t, 'plain'), [value])
      }
    },
    needs: 'rotation',
  },
  {
    name: 'K02 a value cannot be printed',
    async run(t) {
      await t.put('plain', 'canary-printed', false)
      const [value] = await t.secrets.read('plain')
      assert.equal(value?.name, 'plain')
      assert.equal(value.reveal(), 'canary-printed')
      assert.doesNotMatch(
        `${String(value)} ${JSON.stringify([value])} ${inspect({ value }, { depth: 9, showHidden: true })}`,
        /canary/,
      )
    },
  },
  {
    name: 'K03 what is not there is config.secret, names the secret, and is looked for again',
    async run(t) {
      const f = await refused(t, 'absent')
      assert.equal(f.code, 'config.secret')
      assert.equal(f.detail['secret'], 'absent')
      assert.match(f.message, /absent/)
    },
  },
  {
    name: 'K04 what was missing is found after at most a pause, without a restart',
    needs: 'rotation',
    async run(t) {
      await refused(t, 'later')
      await t.put('later', 'came-later-1', false)
      await t.clock.advance(3 * t.refresh)
      assert.deepEqual(await read(t, 'later'), ['came-later-1'])
    },
  },
  {
    name: 'K05 a name that would lead out of the source, or is none, is config.secret and nothing else is read',
    async run(t) {
      for (const name of [
        '../other',
        '..',
        '.',
        '',
        'a/../../b',
        '/etc/passwd',
        'a\0b',
        'a\nb',
        'a%2f..',
        '__proto__',
        'constructor',
      ]) {
        assert.equal((await refused(t, name)).code, 'config.secret', JSON.stringify(name))
      }
    },
  },
  {
    name: 'K06 every value is taught to the redactor before anyone gets it, the older one too',
    needs: 'rotation',
    async run(t) {
      await t.put('taught', 'older-taught', false)
      await t.put('taught', 'newer-taught', true)
      for (const value of await read(t, 'taught')) assert.ok(t.taught.has(value), value)
      assert.ok(t.taught.has('newer-taught'))
    },
  },
  {
    name: 'K07 while one is rotated both are given, the newest first, within twice the refresh and without a restart',
    needs: 'rotation',
    async run(t) {
      await t.put('turning', 'old-turning', false)
      assert.deepEqual(await read(t, 'turning'), ['old-turning'])
      await t.put('turning', 'new-turning', true)
      await t.clock.advance(2 * t.refresh)
      assert.deepEqual(await read(t, 'turning'), ['new-turning', 'old-turning'])
    },
  },
  {
    name: 'K08 a value that was replaced at once is not given any more',
    needs: 'rotation',
    async run(t) {
      await t.put('revoked', 'old-revoked', false)
      await read(t, 'revoked')
      await t.put('revoked', 'new-revoked', false)
      await t.clock.advance(2 * t.refresh)
      assert.deepEqual(await read(t, 'revoked'), ['new-revoked'])
    },
  },
  {
    name: 'K09 a secret that was removed is refused, its last good value given up',
    needs: 'rotation',
    async run(t) {
      await t.put('removed', 'value-removed', false)
      await read(t, 'removed')
      await t.remove('removed')
      await t.clock.advance(2 * t.refresh)
      assert.equal((await refused(t, 'removed')).code, 'config.secret')
    },
  },
  {
    name: 'K10 younger than the refresh it is served from memory; many readers of an older one ask once',
    needs: 'asked',
    async run(t) {
      await t.put('shared', 'value-shared', false)
      await t.secrets.read('shared')
      const first = t.asked!()
      await t.clock.advance(t.refresh - 1)
      await t.secrets.read('shared')
      assert.equal(t.asked!(), first)
      await t.clock.advance(2 * t.refresh)
      const all = await Promise.all(Array.from({ length: 100 }, () => t.secrets.read('shared')))
      assert.ok(all.every(([v]) => v?.reveal() === 'value-shared'))
      assert.equal(t.asked!(), 2 * first)
    },
  },
  {
    name: 'K11 a value past its refresh is served at once and read anew behind it',
    needs: 'asked',
    async run(t) {
      await t.put('behind', 'old-behind', false)
      await t.secrets.read('behind')
      await t.put('behind', 'new-behind', false)
      await t.clock.advance(t.refresh)
      assert.deepEqual(await read(t, 'behind'), ['old-behind'])
      await until(t, async () => (await read(t, 'behind'))[0] === 'new-behind')
    },
  },
  {
    name: 'K12 while the source is away the last good values serve for `keep` and no longer; back, it is asked again',
    needs: 'away',
    async run(t) {
      await t.put('kept', 'value-kept', false)
      await read(t, 'kept')
      await t.away!(true)
      const until = t.clock.mono() + t.keep
      while (t.clock.mono() < until - t.refresh) {
        await t.clock.advance(Math.min(t.keep / 5, until - t.refresh - t.clock.mono()))
        assert.deepEqual(await read(t, 'kept'), ['value-kept'])
      }
      await t.clock.advance(2 * t.refresh)
      const f = await refused(t, 'kept')
      assert.equal(f.code, 'secret.unavailable')
      assert.equal(f.detail['secret'], 'kept')
      await t.away!(false)
      await t.clock.advance(3 * Math.max(t.refresh, 60_000))
      assert.deepEqual(await read(t, 'kept'), ['value-kept'])
      assert.match(t.told(), /secrets\.failed/)
      assert.match(t.told(), /secrets\.back/)
    },
  },
  {
    name: 'K13 a source that is away from the start is secret.unavailable, and found when it is there',
    needs: 'away',
    async run(t) {
      await t.put('early', 'value-early', false)
      await t.away!(true)
      assert.equal((await refused(t, 'early')).code, 'secret.unavailable')
      await t.away!(false)
      await t.clock.advance(3 * Math.max(t.refresh, 60_000))
      assert.deepEqual(await read(t, 'early'), ['value-early'])
    },
  },
  {
    name: 'K14 closing twice is closing once, and leaves no timer',
    async run(t) {
      await t.put('last', 'value-last', false)
      await read(t, 'last')
      await t.secrets[Symbol.asyncDispose]()
      await t.secrets[Symbol.asyncDispose]()
      assert.equal(t.clock.armed, 0)
    },
  },
]

/**
 * The law of a source of secrets: registers one test for each case, with its id, under `name`; in each, nothing that the
 * source tells (faults with their causes, log lines) may hold a value. `open` gives each case a source on data of its own.
 */
export function secretsConformance(
  name: string,
  clock: () => SuiteClock,
  open: (world: SuiteWorld) => Promise<Subject>,
  lacks: readonly Lack[] = [],
): void {
  describe(name, () => {
    for (const c of cases)
      if (c.needs !== 'rotation' || !lacks.includes(c.needs)) it(c.name, () => run(c, clock(), open))
  })
}

async function run(c: Case, clock: SuiteClock, open: (world: SuiteWorld) => Promise<Subject>): Promise<void> {
  const values = new Set<string>()
  const taught = new Set<string>()
  const lines: string[] = []
  const known = redactor()
  const redact: Redactor = {
    knows: (input) => known.knows(input),
    value: (input) => known.value(input),
    text: (input) => known.text(input),
    forget: (secret) => known.forget(secret),
    learn: (secret) => {
      taught.add(secret)
      known.learn(secret)
    },
  }
  const log: Log = { write: (level, event, fields) => void lines.push(JSON.stringify([level, event, fields])) }
  const subject = await open({ clock, log, redact })
  try {
    if ((c.needs === 'away' && !subject.away) || (c.needs === 'asked' && !subject.asked)) return
    const put: Subject['put'] = async (n, value, overlap) => {
      values.add(value)
      await subject.put(n, value, overlap)
    }
    await c.run({ ...subject, clock, log, redact, taught, put, told: () => lines.join('\n') })
    for (const value of values) assert.ok(!lines.join('\n').includes(value), `the log holds ${value}`)
  } finally {
    await subject.secrets[Symbol.asyncDispose]()
    await subject.close()
  }
}

async function read(t: Trial, name: string): Promise<readonly string[]> {
  return (await settled(t, t.secrets.read(name))).map((v: SecretValue) => v.reveal())
}

async function refused(t: Trial, name: string): Promise<Fault> {
  try {
    await settled(t, t.secrets.read(name))
  } catch (e) {
    assert.ok(isFault(e), inspect(e))
    const all = `${inspect(e, { depth: 9 })} ${JSON.stringify(e)}`
    for (const value of t.taught) if (value.length > 5) assert.ok(!all.includes(value), `the fault holds ${value}`)
    return e
  }
  assert.fail(`${name} was read`)
}

/** Moves the clock on while it is waited for: between attempts a source that is away makes pauses. */
async function settled<T>(t: Trial, promise: Promise<T>): Promise<T> {
  let over = false
  const end = (): void => void (over = true)
  promise.then(end, end)
  await until(t, () => Promise.resolve(over))
  return promise
}

/** A look every 2 ms of real time, the clock moved by 10 s at most: nothing is measured, answers only need a chance to come. */
async function until(t: Trial, holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (await holds()) return
    await new Promise<void>((resolve) => setTimeout(resolve, i < 20 ? 0 : 2))
    if (i >= 20) await t.clock.advance(10)
  }
  assert.fail('it did not come to pass')
}
