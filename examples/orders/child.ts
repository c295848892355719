import { fork, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'

type Question = { readonly id: number; readonly ask: string; readonly with?: unknown }
type Answer = { readonly id: number; readonly value?: unknown; readonly error?: string }

/**
 * A child process of ours that answers questions over IPC. Whoever asks while it is dead, or is asked too long, gets a
 * rejection: the parent decides what that means. Ended by its own pid, never by name.
 */
export class Child<Ready> {
  readonly ready: Promise<Ready>
  /** Resolves when the process is gone, however it went. */
  readonly gone: Promise<{ readonly code: number | null; readonly signal: string | null }>
  readonly #process: ChildProcess
  readonly #open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #next = 1
  #alive = true

  /** `log`: the file to which its standard error is appended. */
  constructor(file: URL, log: string, env: Record<string, string>) {
    const stderr = openSync(log, 'a')
    this.#process = fork(file, [], {
      // What a child inherits is chosen: a path and a home, no one's credentials.
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', NODE_NO_WARNINGS: '1', ...env },
      stdio: ['ignore', 'ignore', stderr, 'ipc'],
      serialization: 'advanced',
    })
    closeSync(stderr)
    this.gone = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        this.#alive = false
        const words = readFileSync(log, 'utf8').slice(-2_000)
        for (const waiting of this.#open.values())
          waiting.reject(new Error(`the process ended; the end of ${log}:\n${words}`))
        this.#open.clear()
        resolve({ code, signal })
      })
    })
    this.#process.on('message', (answer: Answer) => {
      const waiting = this.#open.get(answer.id)
      this.#open.delete(answer.id)
      if (answer.error === undefined) waiting?.resolve(answer.value)
      else waiting?.reject(new Error(answer.error))
    })
    // Fork itself can fail, and so can a message to a process that is just being killed: `gone` tells the story.
    this.#process.on('error', () => {})
    this.ready = this.ask('ready', undefined, 20_000) as Promise<Ready>
  }

  get alive(): boolean {
    return this.#alive
  }

  ask(question: string, given?: unknown, patience = 5_000): Promise<unknown> {
    if (!this.#alive) return Promise.reject(new Error('the process is not running'))
    const id = this.#next++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#open.delete(id)
        reject(new Error(`no answer to "${question}" within ${patience} ms`))
      }, patience)
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer)
          then(value)
        }
      this.#open.set(id, { resolve: settle(resolve), reject: settle(reject) })
      this.#process.send({ id, ask: question, with: given } satisfies Question, () => {})
    })
  }

  /** kill -9: no handler runs, nothing is flushed. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.gone
  }

  /** SIGTERM, and SIGKILL for a process that has not gone after `patience` ms. Idempotent. */
  async stop(patience = 8_000): Promise<void> {
    if (!this.#alive) return
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), patience)
    await this.gone
    clearTimeout(timer)
  }
}

/** The child's side: answers what the parent asks, stops when told or when the parent is gone. */
export function serveParent(child: {
  ready(): Promise<unknown>
  readonly answers: Readonly<Record<string, (given: unknown) => unknown>>
  stop(): Promise<void>
}): void {
  const answers: Record<string, (given: unknown) => unknown> = { ...child.answers, ready: () => child.ready() }
  process.on('message', (question: Question) => {
    const send = (answer: Answer): void => void process.send?.(answer, () => {})
    Promise.resolve()
      .then(() => answers[question.ask]?.(question.with))
      .then(
        (value) => send({ id: question.id, value }),
        (error: unknown) =>
          send({ id: question.id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      )
  })
  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    child.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  // A parent that was killed cannot say so: the closed channel does. Ctrl-C reaches the whole group; the parent decides.
  process.on('disconnect', stop)
  process.on('SIGINT', () => {})
}
