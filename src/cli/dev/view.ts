import { stripVTControlCharacters } from 'node:util'
import type { Status } from '#app/operations/status.ts'
import { escapeControls } from '../escape.ts'
import { counted } from '../render.ts'
import { table, type Cell, type Column } from '../table.ts'
import type { Paint } from '../terminal.ts'
import { cut, displayWidth } from '../width.ts'
import { summary, type LogEvent } from './log-line.ts'

/** What the live view shows. `before` is the status of about a second earlier: rates are what came between the two. */
export type Seen = {
  readonly phase: 'starting' | 'running' | 'stopping' | 'stopped'
  readonly url: string | null
  /** Milliseconds. */
  readonly up: number
  readonly restarts: number
  readonly now?: Status
  readonly before?: Status
  /** Milliseconds between them. */
  readonly between: number
  /** Warnings and errors, newest last. */
  readonly faults: readonly LogEvent[]
}

export type Size = { readonly width: number; readonly rows: number }

/** Lines at most, however tall the terminal is: the log above has a right to some place. */
export const tallest = 24
const faultLines = 3

type Section = { readonly columns: readonly Column[]; readonly rows: readonly (readonly Cell[])[] }

/** The live view as lines of at most `width` columns: head, a table for each kind, last faults. Never taller than 24. Pure. */
export function view(seen: Seen, size: Size, paint: Paint): string[] {
  const most = Math.max(4, Math.min(tallest, size.rows - 1))
  const faults = seen.faults.slice(-faultLines)
  const sections = seen.now ? sectionsOf(seen.now, seen).filter((s) => s.rows.length > 0) : []
  const room = most - 1 - (faults.length > 0 ? faults.length + 1 : 0) - sections.length
  const shares = share(
    sections.map((s) => s.rows.length),
    room,
  )
  const lines = [head(seen, size.width, paint)]
  sections.forEach((s, i) => {
    const shown = s.rows.slice(0, shares[i])
    const [titles, ...rest] = table(s.columns, shown, { width: size.width, paint })
    const hidden = s.rows.length - shown.length
    const more = hidden > 0 ? `  +${hidden}` : ''
    const fits = displayWidth(stripVTControlCharacters(titles!)) + more.length <= size.width
    lines.push(fits && hidden > 0 ? titles! + paint('dim', more) : titles!, ...rest)
  })
  if (faults.length > 0) {
    lines.push(paint('dim', cut('LAST FAULTS', size.width)))
    for (const f of faults) {
      lines.push(cut(`${f.time.slice(11, 19)} ${escapeControls(f.event)} ${summary(f.fields)}`, size.width))
    }
  }
  return lines.slice(0, most)
}

/** How many rows each section gets: all get one, and the rest goes round until the room or the rows are spent. Pure. */
export function share(wanted: readonly number[], room: number): number[] {
  const given = wanted.map(() => 0)
  for (let left = room, moved = true; left > 0 && moved;) {
    moved = false
    for (let i = 0; i < wanted.length && left > 0; i++) {
      if (given[i]! >= wanted[i]!) continue
      given[i]!++
      left--
      moved = true
    }
  }
  return given
}

function head(seen: Seen, width: number, paint: Paint): string {
  const states = {
    running: seen.url ?? 'running, listens nowhere',
    starting: 'starting …',
    stopping: 'stopping: what runs may end …',
    stopped: 'stopped, waits for a change',
  }
  const running = seen.phase === 'running'
  const health = running && seen.now ? (seen.now.health.ready ? 'ready' : seen.now.health.reasons.join('; ')) : ''
  const parts = [states[seen.phase], `up ${clock(seen.up)}`, counted(seen.restarts, 'restart'), health].filter(
    (p) => p !== '',
  )
  const text = cut(`fairlead dev  ${escapeControls(parts.join('  ·  '))}`, width)
  return paint(seen.phase === 'stopped' || (health !== '' && health !== 'ready') ? 'yellow' : 'cyan', text)
}

function clock(ms: number): string {
  const s = Math.floor(ms / 1000)
  const two = (n: number): string => String(n).padStart(2, '0')
  return `${two(Math.floor(s / 3600))}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
}

const right = 'right'

function sectionsOf(now: Status, seen: Seen): Section[] {
  const earlier = <T extends { readonly name: string }>(list: readonly T[] | undefined, name: string): T | undefined =>
    list?.find((x) => x.name === name)
  const rate = (value: number, before: number | undefined): string =>
    before === undefined || seen.between <= 0
      ? ''
      : `${((Math.max(0, value - before) * 1000) / seen.between).toFixed(1)}/s`
  const alarm = (n: number): Cell => (n > 0 ? { text: String(n), style: 'red' } : n)
  return [
    {
      columns: [
        { title: 'topic', least: 12 },
        { title: 'accepted', align: right },
        { title: 'rate', align: right },
      ],
      rows: now.topics.map((t) => [
        t.name,
        t.accepted,
        rate(t.accepted, earlier(seen.before?.topics, t.name)?.accepted),
      ]),
    },
    {
      columns: [
        { title: 'subscription', least: 12 },
        ...['lag', 'running', 'done', 'retry', 'held', 'behind', 'dead'].map(
          (title) => ({ title, align: right }) as const,
        ),
        { title: '', least: 6 },
      ],
      rows: now.subscriptions.map((s) => [
        s.name,
        s.lag,
        s.running,
        rate(s.done, earlier(seen.before?.subscriptions, s.name)?.done),
        s.parked.retry,
        s.parked.held,
        s.parked.behind,
        alarm(s.parked.dead),
        s.paused ? { text: 'paused', style: 'yellow' } : (s.waiting ?? ''),
      ]),
    },
    {
      columns: [
        { title: 'connection', least: 10 },
        { title: 'breaker' },
        ...['calls', 'failed', 'running', 'waiting'].map((title) => ({ title, align: right }) as const),
        { title: 'last fault', least: 10 },
      ],
      rows: now.connections.map((c) => [
        c.name,
        c.breaker === 'closed' ? c.breaker : { text: c.breaker, style: 'red' },
        c.counters.calls,
        alarm(c.counters.failed),
        c.running,
        c.waiting,
        c.lastFault ? `${c.lastFault.time.slice(11, 19)} ${c.lastFault.code}` : '',
      ]),
    },
    {
      columns: [
        { title: 'webhook', least: 10 },
        { title: 'path', least: 10 },
        { title: 'answers', least: 10 },
      ],
      rows: now.webhooks.map((w) => [
        w.name,
        w.path,
        Object.entries(w.counts)
          .map(([outcome, n]) => `${outcome} ${n}`)
          .join(', '),
      ]),
    },
  ]
}
