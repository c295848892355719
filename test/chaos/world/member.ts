import type { Buffer } from 'node:buffer'
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Answer, Command } from './engine.ts'
import type { Fact } from './definitions.ts'
import type { Place } from './place.ts'

export type Told =
  | { readonly told: 'accepted'; readonly at: readonly [number, number] }
  | { readonly told: 'refused'; readonly code: string; readonly message: string }
  /** The process ended before it had answered. */
  | { readonly told: 'nothing' }

export type MemberOptions = {
  readonly place: Pick<Place, 'kind' | 'address'>
  readonly outside: string
  /** A program in front: strace, unshare. */
  readonly before?: readonly string[]
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** How long an answer may take before the run is called stuck: far beyond every limit of the engine. */
const stuck = 90_000

/** An engine process, as its parent sees it: what it was asked, what it has said, how it ended. */
export class Member {
  readonly process: ChildProcess
  /** Milliseconds from opening the store until ready. Rejects when the process ends before. */
  readonly ready: Promise<number>
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  alive = true
  /** Facts of a flood, as they are answered. */
  onFlood: (answer: Extract<Answer, { flood: unknown }>) => void = () => {}
  /** Runs of `calls` that did their part in this process, as `calls <u>`. */
  readonly ran: string[] = []
  /** The fault with which it gave up, if it did. */
  failure: { readonly code: string; readonly message: string } | undefined
  trouble = ''
  readonly #open = new Map<number, (answer: Answer | undefined) => void>()
  #next = 0

  constructor({ place, outside, before = [], flags = [], env = {} }: MemberOptions) {
    const engine = fileURLToPath(new URL('engine.ts', import.meta.url))
    const command = [...before, process.execPath, ...flags, engine, place.kind, place.address]
    this.process = spawn(command[0]!, command.slice(1), {
      // What a child inherits is chosen: a path and a home, no one's credentials.
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', CHAOS_OUTSIDE: outside, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.process.stderr!.on('data', (d: Buffer) => (this.trouble = (this.trouble + d.toString()).slice(-4_000)))
    // A command to a process that is just being killed cannot be written; that it has ended says more.
    this.process.stdin!.on('error', () => {})
    let said!: (ms: number) => void
    this.ready = new Promise((resolve, reject) => {
      said = resolve
      this.process.once('error', reject)
      this.process.once('close', (code, signal) =>
        reject(new Error(`the engine ended with ${code ?? signal} before it was ready: ${this.failure?.code ?? ''}`)),
      )
    })
    this.ready.catch(() => {})
    this.ended = new Promise((resolve) => {
      this.process.once('error', () => resolve({ code: -1, signal: null }))
      this.process.once('close', (code, signal) => {
        this.alive = false
        for (const answer of this.#open.values()) answer(undefined)
        this.#open.clear()
        resolve({ code, signal })
      })
    })
    let rest = ''
    this.process.stdout!.on('data', (d: Buffer) => {
      const lines = (rest + d.toString()).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.#hear(JSON.parse(line) as Answer, said)
    })
  }

  get pid(): number {
    return this.process.pid!
  }

  async publish(fact: Fact): Promise<Told> {
    const answer = await this.ask({ do: 'publish', fact })
    if (answer === undefined) return { told: 'nothing' }
    if ('at' in answer && answer.at) return { told: 'accepted', at: answer.at }
    if ('message' in answer) return { told: 'refused', code: answer.code, message: answer.message }
    throw new Error(`no answer to a publish: ${JSON.stringify(answer)}`)
  }

  /** Undefined when the process ended without an answer. */
  ask(
    command: Command extends infer C ? (C extends Command ? Omit<C, 'n'> : never) : never,
  ): Promise<Answer | undefined> {
    if (!this.alive) return Promise.resolve(undefined)
    const n = this.#next++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${command.do} was not answered within ${stuck} ms\n${this.trouble}`)),
        stuck,
      )
      this.#open.set(n, (answer) => {
        clearTimeout(timer)
        resolve(answer)
      })
      this.process.stdin!.write(`${JSON.stringify({ n, ...command })}\n`)
    })
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.process.kill(signal)
  }

  /** Asks it to drain and end; `SIGKILL` for one that hangs. */
  async stop(): Promise<void> {
    await this.ask({ do: 'stop' }).catch(() => this.kill())
    await this.ended
  }

  #hear(answer: Answer, ready: (ms: number) => void): void {
    if ('ready' in answer) return ready(answer.ready)
    if ('ran' in answer) return void this.ran.push(answer.ran)
    if ('flood' in answer) return this.onFlood(answer)
    if (answer.n === -1 && 'code' in answer) {
      this.failure = answer
      return
    }
    this.#open.get(answer.n)?.(answer)
    this.#open.delete(answer.n)
  }
}
