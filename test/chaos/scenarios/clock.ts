import { existsSync, globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Env, Result, Scenario } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import { look } from '../world/look.ts'
import type { Member } from '../world/member.ts'
import { until } from '../world/pause.ts'

/** Debian's libfaketime: stands between a process and its clock, and obeys a file. */
const library = [
  '/usr/lib/faketime/libfaketime.so.1',
  ...globSync('/usr/lib/*/faketime/libfaketime.so.1'),
  ...globSync('/usr/lib64/faketime/libfaketime.so.1'),
].find((path) => existsSync(path))

/** What the wall clock is set to, one after the other; the monotonic clock goes on as it was. */
const jumps = ['+3600', '+0', '-3600', '+0', '@2026-10-25 01:59:58', '+0', '+86400', '-7200', '+0'] as const

/** Publishes that follow each jump. */
const load = 25

/**
 * Two engines on one store whose wall clocks jump, each on its own, an hour ahead and back, over the end of summer time, a day
 * ahead. Nothing may expire at once, and what is delayed, retried or recognised by its id happens once.
 */
async function run(env: Env): Promise<Result> {
  await using arena = new Arena(env)
  await arena.open()
  const { client, place, ledger } = arena
  const clocks: string[] = []
  const start = async (at = '+0'): Promise<Member> => {
    const file = join(place.folder, `clock-${clocks.length}`)
    clocks.push(file)
    writeFileSync(file, `${at}\n`)
    const member = arena.spawn({
      env: {
        LD_PRELOAD: library!,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        TZ: 'Europe/Lisbon',
      },
    })
    await member.ready
    return member
  }
  const members = [await start(), await start()]
  arena.current = members[0]
  let made = 0
  const hand = (): Promise<void>[] =>
    Array.from({ length: load }, (_, i) => {
      // Every kind in every time: some fail once, some are late.
      const manner = i % 5 === 0 ? 'late' : i % 5 === 1 ? 'retry' : 'ok'
      return client.hand({ u: `c-${made++}`, key: i % 2 === 0 ? null : `k${i}`, manner })
    })
  let expired = 0
  const stuck: Record<string, number> = {}
  for (let round = 0; round < env.kills; round++) {
    for (const [i, jump] of jumps.entries()) {
      arena.current = members[i % 2]
      const before = hand()
      // In the middle of it.
      await before[0]
      for (const [m, file] of clocks.entries()) if (m === i % 2 || jump === '+0') writeFileSync(file, `${jump}\n`)
      await Promise.all([...before, ...hand()])
      // What was due before a clock was set back waits until it has come there again: it is counted, and must not be lost.
      if (!jump.startsWith('-')) continue
      const name = `waiting_after_${jump}`
      stuck[name] = (stuck[name] ?? 0) + (await open(place, made))
    }
    expired = members.reduce((n, m) => n + m.trouble.split('journal.worker_gone').length - 1, 0)
  }
  const acknowledged = ledger.acknowledged
  // What was accepted while a clock was ahead is due when it has come there: so that this can be seen, it comes there.
  const ahead = await open(place, made)
  await Promise.all(members.map((m) => m.stop()))
  arena.current = await start('+90000')
  const verdict = await arena.finish()
  return arena.result(verdict, `npm run chaos -- clock --kills ${env.kills} --seed ${env.seed}`, {
    injected: jumps.length * env.kills,
    acknowledged,
    more: { leases_expired: expired, ...stuck, waiting_after_all: ahead },
    broken: expired > 0 ? [`${expired} engines were taken for gone because a clock jumped`] : [],
  })
}

/** Facts that are not done two seconds later, which is far beyond every delay and retry of theirs. */
async function open(place: Parameters<typeof look>[0], made: number): Promise<number> {
  let waiting = made
  await until(
    '',
    async () => {
      const { rows } = await look(place)
      waiting = made - new Set(rows.filter((r) => r.sub === 'rows').map((r) => r.u)).size
      return waiting === 0
    },
    2_000,
  ).catch(() => {})
  return waiting
}

export const clock: Scenario = {
  name: 'clock',
  about: 'the wall clocks of two engines jump: ±1 h, end of summer time, +1 day, −2 h (libfaketime); --kills rounds',
  kills: 1,
  every: 1,
  lacking: () =>
    library === undefined ? 'libfaketime is not installed (Debian: apt-get install libfaketime)' : undefined,
  run,
}
