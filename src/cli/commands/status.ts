import type { Status } from '#app/operations/status.ts'
import type { NumberedCall } from '#app/operations/call-record.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { escapeControls } from '../escape.ts'
import { counted, jsonLine, shownBytes, shownTime } from '../render.ts'
import { named } from './pause.ts'
import { table, type Cell } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { withApp } from '../with-app.ts'

/** Call records that the connections are summed up from. */
const recent = 1_000

export const status: Declare = (command, terminal) =>
  aboutProject(
    command.description('Everything at a glance, out of the store: beside a running app, or when none runs.'),
    'fairlead status --json',
  ).action(async (options: ProjectOptions) => {
    const shown = await withApp(options.config, async ({ operations }) =>
      storeStatus(await operations.status(), await operations.calls({ limit: recent })),
    )
    if (options.json) return terminal.out(jsonLine(shown))
    for (const line of lines(shown, terminal)) terminal.out(line)
  })

export type StoreStatus = {
  readonly store: Status['store']
  readonly workers: Status['workers']
  readonly topics: Status['topics']
  readonly subscriptions: readonly Pick<
    Status['subscriptions'][number],
    'name' | 'topic' | 'lag' | 'paused' | 'parked'
  >[]
  readonly pauses: Status['pauses']
  readonly authorizations: Status['authorizations']
  readonly replays: Status['replays']
  readonly webhooks: readonly { readonly name: string; readonly path: string; readonly accepted: number }[]
  /** Of the last 1,000 call records. */
  readonly connections: readonly {
    readonly name: string
    readonly calls: number
    readonly failed: number
    /** In all processes. */
    readonly shared: Status['connections'][number]['shared']
    readonly lastFault?: { readonly code: string; readonly time: string }
  }[]
}

/**
 * What the store knows. Counts of this process are left out: it handles nothing, so its zeros would be read as those of
 * the app that runs beside it. Pure.
 */
export function storeStatus(
  s: Status,
  calls: readonly Pick<NumberedCall, 'connection' | 'outcome' | 'time'>[],
): StoreStatus {
  const accepted = new Map(s.topics.map((t) => [t.name, t.accepted]))
  return {
    store: s.store,
    workers: s.workers,
    topics: s.topics,
    subscriptions: s.subscriptions.map(({ name, topic, lag, paused, parked }) => ({
      name,
      topic,
      lag,
      paused,
      parked,
    })),
    pauses: s.pauses,
    authorizations: s.authorizations,
    replays: s.replays,
    webhooks: s.webhooks.map((w) => ({ name: w.name, path: w.path, accepted: accepted.get(`webhook.${w.name}`) ?? 0 })),
    connections: s.connections.map(({ name, shared }) => {
      const own = calls.filter((c) => c['connection'] === name)
      const failed = own.filter((c) => c['outcome'] !== 'ok')
      const [last] = failed
      const lastFault = last && { code: last.outcome, time: last.time }
      return { name, calls: own.length, failed: failed.length, shared, ...(lastFault ? { lastFault } : {}) }
    }),
  }
}

const right = 'right'

export function lines(s: StoreStatus, terminal: Pick<Terminal, 'width' | 'paint'>): string[] {
  const alarm = (n: number): Cell => (n > 0 ? { text: String(n), style: 'red' } : n)
  const dead = s.subscriptions.reduce((sum, x) => sum + x.parked.dead, 0)
  const sections = [
    table(
      [
        { title: 'topic', least: 16 },
        { title: 'accepted', align: right },
        { title: 'kept', align: right },
      ],
      s.topics.map((t) => [t.name, t.accepted, t.messages]),
      terminal,
    ),
    table(
      [
        { title: 'subscription', least: 12 },
        { title: 'topic', least: 10 },
        { title: 'lag', align: right },
        { title: 'retry', align: right },
        { title: 'held', align: right },
        { title: 'behind', align: right },
        { title: 'dead', align: right },
        { title: '' },
      ],
      s.subscriptions.map(({ name, topic, lag, paused, parked: p }) => [
        name,
        topic,
        lag,
        p.retry,
        p.held,
        p.behind,
        alarm(p.dead),
        paused ? { text: 'paused', style: 'yellow' } : '',
      ]),
      terminal,
    ),
    table(
      [
        { title: 'webhook', least: 10 },
        { title: 'accepted', align: right },
        { title: 'path', least: 10 },
      ],
      s.webhooks.map((w) => [w.name, w.accepted, w.path]),
      terminal,
    ),
    table(
      [
        { title: 'connection', least: 10 },
        { title: 'calls', align: right },
        { title: 'failed', align: right },
        { title: 'breaker' },
        { title: 'last fault', least: 12 },
      ],
      s.connections.map((c) => [
        c.name,
        c.calls,
        c.failed,
        c.shared.breaker === 'closed' ? 'closed' : { text: c.shared.breaker, style: 'red' },
        c.lastFault ? `${c.lastFault.code} at ${shownTime(c.lastFault.time)}` : '',
      ]),
      terminal,
    ),
  ].filter((section) => section.length > 1)
  const running = s.workers.map(
    (w) => `pid ${w.pid} on ${w.host} since ${shownTime(w.started)} (${counted(w.partitions, 'partition')})`,
  )
  const end = [running.length > 0 ? `Running: ${running.join(', ')}.` : 'Nothing is running on this store.']
  for (const w of s.workers) {
    const name = `pid ${w.pid} on ${w.host}`
    if (w.outdated) end.push(`${name} is older than the store: it has handed over its work and waits to be replaced.`)
    if (w.skew !== 0)
      end.push(`The clock of ${name} is ${Math.round(Math.abs(w.skew) / 1_000)} s ${w.skew > 0 ? 'ahead' : 'behind'}.`)
  }
  end.push(`The store takes ${shownBytes(s.store.bytes)}.`)
  for (const p of s.pauses)
    end.push(
      escapeControls(
        `Paused: ${named(p)}, by ${p.by} at ${shownTime(p.since)}${p.reason === '' ? '' : `: ${p.reason}`}`,
      ),
    )
  for (const a of s.authorizations) {
    const why = a.error === undefined ? 'nobody has authorised it yet' : `their server says ${a.error}`
    const since = a.since === undefined || a.error === undefined ? '' : ` since ${shownTime(a.since)}`
    const fix = a.person ? `: fairlead authorize ${a.connection}` : ': correct client id, secret or scopes'
    if (a.state === 'unauthorized' || a.person)
      end.push(escapeControls(`${a.connection} is held: ${why}${since}${fix}`))
  }
  for (const r of s.replays)
    end.push(
      escapeControls(
        `Replay into ${r.subscription}: ${r.started} of ${counted(r.messages, 'message')} on the way, by ${r.by} since ${shownTime(r.since)}${r.live === 'waits' ? '; new messages wait' : ''}`,
      ),
    )
  for (const c of s.connections) end.push(...told(c).map(escapeControls))
  if (dead > 0) end.push(`${counted(dead, 'message')} wait${dead === 1 ? 's' : ''} for a person: fairlead dead`)
  return [...sections.flatMap((section) => [...section, '']), ...end]
}

/** What holds for a connection in all processes, and that is not as it should be. */
function told({ name, shared }: StoreStatus['connections'][number]): string[] {
  const { breaker, openUntil, by, reason, alone, coolUntil } = shared
  const all: string[] = []
  if (breaker === 'isolated') {
    all.push(
      `Nothing is sent to ${name}: isolated by ${by}${reason ? `: ${reason}` : ''}. fairlead breaker close ${name}`,
    )
  } else if (openUntil !== undefined) {
    all.push(`The breaker of ${name} is ${breaker} until ${shownTime(openUntil)}.`)
  }
  if (alone !== undefined) {
    all.push(`${counted(alone, 'process')} alone cannot reach ${name}, or is not answered: look at its network.`)
  }
  if (coolUntil !== undefined) all.push(`${name} asked us to wait until ${shownTime(coolUntil)}.`)
  return all
}
