import type { Status } from '#app/operations/status.ts'
import { escapeLines } from '../escape.ts'
import type { Terminal } from '../terminal.ts'
import { parseLogLine, printLogEvent } from './log-line.ts'
import type { Told } from './protocol.ts'
import { Screen } from './screen.ts'
import { view, type Seen } from './view.ts'

/** Faults kept for the view, which shows the last three. */
const faultsKept = 5

/** What `fairlead dev` shows: on a terminal the live view with the log scrolling above it, lines elsewhere. */
export class Shown {
  readonly #terminal: Terminal
  readonly #now: () => number
  readonly #screen: Screen | undefined
  #seen: Seen = { phase: 'starting', url: null, up: 0, restarts: -1, between: 0, faults: [] }
  #since: number
  /** The last status of this run and when it came: counts of a process begin anew with it. */
  #last: { readonly status: Status; readonly at: number } | undefined

  /** `now` is a monotonic clock in milliseconds; `write` gets the control sequences of the view. */
  constructor(terminal: Terminal, now: () => number, write: (text: string) => void) {
    this.#terminal = terminal
    this.#now = now
    this.#since = now()
    this.#screen = terminal.width === undefined ? undefined : new Screen(write)
  }

  phase(phase: Exclude<Seen['phase'], 'running'>, code?: number | null): void {
    if (phase === 'starting') {
      this.#since = this.#now()
      this.#last = undefined
      this.#seen = { ...this.#seen, phase, url: null, restarts: this.#seen.restarts + 1, between: 0, faults: [] }
    } else this.#seen = { ...this.#seen, phase }
    if (phase === 'stopped') {
      this.say(`the app ended ${code === null ? 'by a signal' : `with code ${code}`}; waiting for a change`)
    }
    this.draw()
  }

  told(told: Told): void {
    if (told.told === 'running') {
      this.#seen = { ...this.#seen, phase: 'running', url: told.url }
      if (!this.#screen)
        this.say(told.url === null ? 'running; the config exports no `listen`' : `listens on ${told.url}`)
    } else {
      const at = this.#now()
      const { before: _, ...seen } = this.#seen
      const before = this.#last && { before: this.#last.status }
      this.#seen = { ...seen, ...before, now: told.status, between: this.#last ? at - this.#last.at : 0 }
      this.#last = { status: told.status, at }
    }
    this.draw()
  }

  /** A line that the app printed. It may be coloured, but not drive the terminal at whose foot the view stands. */
  line(text: string, from: 'out' | 'err'): void {
    const event = from === 'err' ? parseLogLine(text) : undefined
    if (event && (event.level === 'warn' || event.level === 'error')) {
      this.#seen = { ...this.#seen, faults: [...this.#seen.faults, event].slice(-faultsKept) }
    }
    this.#print(event ? printLogEvent(event, this.#terminal.paint) : escapeLines(text.replaceAll(colours, '')))
  }

  say(text: string): void {
    this.#print(`${this.#terminal.paint('cyan', 'fairlead dev')} ${escapeLines(text)}`)
  }

  draw(): void {
    const { width, rows } = this.#terminal
    if (!this.#screen || width === undefined) return
    const seen = { ...this.#seen, up: this.#now() - this.#since }
    this.#screen.draw(view(seen, { width, rows: rows ?? 24 }, this.#terminal.paint))
  }

  #print(line: string): void {
    if (this.#screen) this.#screen.print(line)
    else this.#terminal.out(line)
  }
}

// oxlint-disable-next-line no-control-regex -- colours are control sequences
const colours = /\u001b\[[\d;]*m/g
