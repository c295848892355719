import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Env, Result, Scenario } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import type { Fact } from '../world/definitions.ts'
import type { Member } from '../world/member.ts'
import { injecting, lackingTool, orderly } from '../world/strace.ts'

const lacking = (): string | undefined => lackingTool('strace', '-f', '-e', 'trace=none', 'true')

/** What a run hands in: keys that come again, one that fails once, one that nobody wants, one that is late. */
const facts: readonly Fact[] = [
  { u: 'p-1', key: 'a', manner: 'ok' },
  { u: 'p-2', key: 'a', manner: 'retry' },
  { u: 'p-3', key: 'a', manner: 'ok' },
  { u: 'p-4', key: null, manner: 'dead' },
  { u: 'p-5', key: null, manner: 'late' },
  { u: 'p-6', key: 'b', manner: 'ok' },
]

/** strace counts each kind of call for itself. */
const calls = ['pwrite64', 'fdatasync', 'fsync', 'ftruncate', 'unlink'] as const

type Point = { readonly call: (typeof calls)[number]; readonly n: number }
type Fault = { readonly name: string; readonly fault: string; when(n: number): string }

const killed: Fault = { name: 'kill', fault: 'signal=SIGKILL', when: String }
/** For a few calls in a row, as a disk that is full until somebody makes room. */
const full: Fault = { name: 'ENOSPC', fault: 'error=ENOSPC', when: (n) => `${n}..${n + 3}` }
const failing: Fault = { name: 'EIO', fault: 'error=EIO', when: String }

/** Faults at every n-th write and sync of a whole run: opened, published, handled, parked, retried, drained, closed. */
async function sweep(env: Env, scenario: string, faults: readonly Fault[]): Promise<Result> {
  let total: Result = { injected: 0, acknowledged: 0, lost: 0, doubled: 0, duplicates: 0, recovery: [], broken: [] }
  const covered: Record<string, number> = {}
  for (const fault of faults) {
    for (const call of calls) {
      // Not always the same points of a sparse sweep: the seed shifts them. Of the rare calls more are tried.
      const begin = 1 + (env.seed % Math.min(env.every, 3))
      const step = call === 'pwrite64' ? env.every : Math.ceil(env.every / 4)
      for (let n = begin; ; n += step) {
        const one = await at(env, scenario, fault, { call, n })
        if (one === undefined) break
        covered[`${fault.name}_${call}`] = (covered[`${fault.name}_${call}`] ?? 0) + 1
        total = sum(total, one)
        if (total.injected % 50 === 0) env.say(`${scenario}: ${total.injected} points`)
      }
    }
  }
  return { ...total, more: { ...covered, ...total.more } }
}

/** One run with a fault at one point; undefined when the run ended before it came there. */
async function at(env: Env, scenario: string, fault: Fault, { call, n }: Point): Promise<Result | undefined> {
  await using arena = new Arena(env)
  await arena.open()
  const { client, outside } = arena
  const record = join(arena.place.folder, 'record')
  const { address } = arena.place
  const before = injecting({ address, fault: fault.fault, when: fault.when(n), record, calls: call })
  const first = (arena.current = arena.spawn({ before, env: orderly }))
  const falsely: string[] = []
  watch(client, first, call, falsely)
  // An engine that has died, cannot open its store, or can write no more is replaced by one without faults.
  let reopened = 0
  const replace = async (old: Member): Promise<void> => {
    if (arena.current !== old) return
    arena.fault()
    reopened++
    arena.current = undefined
    old.kill('SIGKILL')
    await old.ended
    const successor = (arena.current = arena.spawn({ env: orderly }))
    void successor.ended.then(() => replace(successor))
  }
  void first.ended.then(() => replace(first))
  const told = client.onTold
  client.onTold = (member, answer, asked) => {
    told(member, answer, asked)
    if (answer.told === 'refused' && answer.code === 'store.broken') void replace(member)
  }
  await Promise.all(facts.map((f) => client.hand(f)))
  // Also the faults of the work behind an acknowledgement, and of an orderly end.
  await settled(arena, first)
  const hit = first.alive ? false : injected(record, fault)
  if (!hit) return undefined
  if (arena.current === first) arena.current = undefined
  const verdict = await arena.finish()
  const again = `npm run chaos -- ${scenario} --every ${env.every} --seed ${env.seed}, ${fault.name} at ${call} ${n}`
  return arena.result(verdict, again, {
    injected: 1,
    duplicates: outside.repeats,
    more: { reopened },
    broken: falsely,
  })
}

/** Once a sync has failed, nothing that is asked of that process afterwards may be accepted by it. */
function watch(client: Arena['client'], first: Member, call: string, falsely: string[]): void {
  let brokenAt: number | undefined
  client.onTold = (member, told, asked) => {
    if (member !== first || call !== 'fdatasync') return
    if (told.told === 'refused' && told.code === 'store.broken') brokenAt ??= performance.now()
    if (told.told === 'accepted' && brokenAt !== undefined && asked > brokenAt)
      falsely.push('a publish was accepted after a sync had failed')
  }
}

/** Waits until the engine with faults has done everything, and asks it to end; at most a few seconds, faults may keep it from both. */
async function settled(arena: Arena, first: Member): Promise<void> {
  for (let i = 0; i < 60 && first.alive; i++) {
    const answer = await first.ask({ do: 'quiet' })
    const quiet = answer !== undefined && 'quiet' in answer && answer.quiet
    if (quiet && (await arena.books()).lost.length === 0) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  if (arena.current === first) arena.current = undefined
  if (first.alive) await first.stop()
}

function injected(record: string, fault: Fault): boolean {
  const text = readFileSync(record, 'utf8')
  return fault === killed ? /killed by SIGKILL|= \?$/m.test(text) : text.includes('(INJECTED)')
}

function sum(a: Result, b: Result): Result {
  const more: Record<string, number | string> = { ...a.more }
  for (const [k, v] of Object.entries(b.more ?? {})) if (typeof v === 'number') more[k] = Number(more[k] ?? 0) + v
  return {
    injected: a.injected + b.injected,
    acknowledged: a.acknowledged + b.acknowledged,
    lost: a.lost + b.lost,
    doubled: a.doubled + b.doubled,
    duplicates: Math.max(a.duplicates ?? 0, b.duplicates ?? 0),
    recovery: [...(a.recovery ?? []), ...(b.recovery ?? [])],
    more,
    broken: [...a.broken, ...b.broken],
  }
}

export const killPoints: Scenario = {
  name: 'kill-points',
  about: 'SIGKILL at each write, truncation, sync and unlink of publish, handle, park, retry, commit and close',
  kills: 1,
  every: 60,
  lacking,
  run: (env) => sweep(env, 'kill-points', [killed]),
}

export const diskFaults: Scenario = {
  name: 'disk-faults',
  about: 'ENOSPC (four calls in a row) and EIO at each of the same points',
  kills: 1,
  every: 150,
  lacking,
  run: (env) => sweep(env, 'disk-faults', [full, failing]),
}
