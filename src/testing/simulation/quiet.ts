import type { App } from '#app/fairlead.ts'
import type { Data } from './handlers.ts'
import type { Ledger } from './ledger.ts'
import { resume, subscriptions } from './operator.ts'
import type { Swarm } from './swarm.ts'

/** What is not done yet, in words. Resumes what is paused, and makes room where too much is parked, as a person would. */
export async function left(
  app: App,
  of: { readonly swarm: Swarm; readonly ledger: Ledger; readonly settled: <T>(p: Promise<T>) => Promise<T> },
): Promise<string[]> {
  const { swarm, ledger, settled } = of
  const { operations } = app
  for (const s of subscriptions(swarm)) await settled(resume(app, s, ledger))
  const status = await settled(operations.status())
  const parked = await settled(operations.parked({ limit: 1_000 }))
  const limit = (name: string): number => (name === 'follow' ? 10_000 : swarm.parkedLimit)
  const full = (name: string): boolean => parked.filter((p) => p.subscription === name).length >= limit(name)
  const found = status.subscriptions
    .filter((s) => s.lag > 0 && !full(s.name))
    .map((s) => `${s.name} has ${s.lag} messages that it does not handle (${s.waiting ?? 'flowing'})`)
  for (const s of status.subscriptions) {
    const mine = parked.filter((p) => p.subscription === s.name)
    if (s.lag === 0 || !full(s.name) || mine.some((p) => p.state !== 'dead' && p.state !== 'behind')) continue
    const dead = mine.find((p) => p.state === 'dead')
    if (!dead) continue
    ledger.discarded.add(`${s.name} ${(dead.data as Data).u}`)
    await settled(operations.discard(dead.parked, 'to make room'))
    found.push(`${s.name} was full`)
  }
  for (const p of parked) {
    const waits =
      p.key !== null &&
      parked.some(
        (o) =>
          o.subscription === p.subscription && o.key === p.key && o.state === 'dead' && before(o.position, p.position),
      )
    if (p.state !== 'dead' && !(p.state === 'behind' && waits))
      found.push(`${p.subscription} ${(p.data as Data).u} stays parked as ${p.state}, due ${p.due ?? 'never'}`)
  }
  return found
}

/** Whether `a` stands before `b` in the same partition. */
function before(a: string, b: string): boolean {
  const [ta, pa, oa] = a.split('/')
  const [tb, pb, ob] = b.split('/')
  return ta === tb && pa === pb && Number(oa) < Number(ob)
}
