import { Child } from './child.ts'
import type { EngineReport, ParkedReport } from './engine-report.ts'

/** The engine's process, as often as it takes: started, killed, started again on the same file and port. */
export class EngineHost {
  readonly #log: string
  readonly #env: Readonly<Record<string, string>>
  #child: Child<{ url: string }> | undefined
  #url = ''
  #failed: (reason: Error) => void = () => {}
  /** Rejects when the engine ends without having been told to. */
  readonly failure: Promise<never>

  constructor(log: string, env: Readonly<Record<string, string>>) {
    this.#log = log
    this.#env = env
    this.failure = new Promise((_, reject) => {
      this.#failed = reject
    })
    this.failure.catch(() => {})
  }

  get url(): string {
    return this.#url
  }

  /** Resolves when it listens: on a free port the first time, on the same one after that. */
  async start(): Promise<void> {
    const port = this.#url === '' ? '0' : new URL(this.#url).port
    const child = new Child<{ url: string }>(new URL('./engine.ts', import.meta.url), this.#log, {
      ...this.#env,
      PORT: port,
    })
    this.#child = child
    void child.gone.then(({ code, signal }) => {
      if (this.#child === child)
        this.#failed(new Error(`the engine ended by itself (${signal ?? `exit ${code}`}); see ${this.#log}`))
    })
    this.#url = (await child.ready).url
  }

  /** kill -9, a pause as a supervisor would make it, and a new start. */
  async crash(pause: () => Promise<unknown>): Promise<void> {
    const child = this.#child
    this.#child = undefined
    await child?.kill()
    await pause()
    await this.start()
  }

  async report(): Promise<EngineReport | undefined> {
    return (await this.#child?.ask('report').catch(() => undefined)) as EngineReport | undefined
  }

  async parked(): Promise<ParkedReport[]> {
    if (!this.#child) throw new Error('the engine is not running')
    return (await this.#child.ask('parked')) as ParkedReport[]
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    await child?.stop()
  }
}
