import type { App } from '#app/fairlead.ts'
import type { Chance } from './decisions.ts'
import type { Data } from './handlers.ts'
import type { Ledger } from './ledger.ts'
import type { Swarm } from './swarm.ts'

/** Subscriptions of these worlds. */
export function subscriptions(swarm: Swarm): readonly string[] {
  return swarm.batch > 0 ? ['main', 'batch', 'follow'] : ['main', 'follow']
}

/** A person at the console: pauses, resumes, replays, edits, discards, at any moment. */
export async function operate(
  step: string,
  app: App,
  of: { readonly swarm: Swarm; readonly chance: Chance; readonly ledger: Ledger },
): Promise<void> {
  const { swarm, chance, ledger } = of
  const { operations } = app
  const sub = chance.one(`${step} on`, subscriptions(swarm))
  const verb = chance.weighted(`${step} verb`, { replay: 4, pause: 2, resume: 3, edit: 2, discard: 3, redrive: 1 })
  if (verb === 'pause') return pause(app, sub, ledger)
  if (verb === 'resume') return resume(app, sub, ledger)
  if (verb === 'redrive') return void (await operations.redrive({ subscription: sub, rate: '1000/s', wait: '1ms' }))
  const parked = await operations.parked({ limit: 1_000 })
  if (parked.length === 0) return
  // Who looks at the console because something is going on there decides about just that.
  const busy = parked.filter((p) => ledger.running(p.subscription, (p.data as Data).u))
  const amongBusy = chance.likely(`${step} busy`, 0.6) && busy.length > 0
  const one = chance.one(`${step} which`, amongBusy ? busy : parked)
  const data = one.data as Data
  const name = `${one.subscription} ${data.u}`
  ledger.note(`${verb} ${name} (${one.state})`)
  if (verb === 'replay') return operations.replay(one.parked)
  if (verb === 'edit') {
    if (one.state === 'behind') return
    ledger.edited.add(name)
    await operations.editAndReplay(one.parked, { ...data, edited: true })
    return void ledger.corrected.add(name)
  }
  ledger.discarded.add(name)
  return operations.discard(one.parked, 'by the simulation')
}

async function pause(app: App, sub: string, ledger: Ledger): Promise<void> {
  ledger.note(`pause ${sub}`)
  const answered = ledger.pausing()
  try {
    await app.operations.pause(sub)
    ledger.note(`${sub} is paused`)
    ledger.paused(sub)
  } finally {
    answered()
  }
}

export async function resume(app: App, sub: string, ledger: Ledger): Promise<void> {
  ledger.note(`resume ${sub}`)
  const answered = ledger.resuming(sub)
  let well = false
  try {
    await app.operations.resume(sub)
    well = true
  } finally {
    answered(well)
  }
}
