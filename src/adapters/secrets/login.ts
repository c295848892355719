import type { Cancel } from '#kernel/clock.ts'
import { fault, isFault } from '#kernel/fault.ts'
import type { SecretsRuntime } from './port.ts'

/** What lets us in, and for how long, milliseconds; Infinity: until it is refused. */
export type Pass<T> = { readonly pass: T; readonly life: number; readonly renewable: boolean }

export type Doors<T> = {
  readonly kind: string
  login(): Promise<Pass<T>>
  /** Prolongs it. Rejects when it cannot be prolonged. */
  renew?(pass: T): Promise<Pass<T>>
}

/** Of its life, after which a pass is renewed, +0–5 %: a fleet that started together does not renew together. */
const fraction = 2 / 3
/** A pass that came out with less life than this is asked for anew instead, milliseconds. */
const shortest = 5_000
/** Between two attempts to renew, milliseconds. */
const again = 10_000

/**
 * Keeps one pass: logs in when it is first needed, renews it at two thirds of its life whether it is used or not (a login may
 * be possible only once), logs in again when it cannot be renewed any more or was refused. One login at a time, whoever asks.
 */
export class Login<T> {
  readonly #doors: Doors<T>
  readonly #runtime: SecretsRuntime
  #current: { readonly pass: Pass<T>; readonly until: number } | undefined
  #entering: Promise<T> | undefined
  #timer: Cancel | undefined
  #closed = false

  constructor(doors: Doors<T>, runtime: SecretsRuntime) {
    this.#doors = doors
    this.#runtime = runtime
  }

  /** The pass. `refused`: this one no longer lets us in. Rejects with `secret.unavailable`. */
  get(refused?: T): Promise<T> {
    const { clock } = this.#runtime
    if (this.#current && this.#current.pass.pass !== refused && clock.mono() < this.#current.until) {
      return Promise.resolve(this.#current.pass.pass)
    }
    this.#entering ??= this.#enter().finally(() => (this.#entering = undefined))
    return this.#entering
  }

  /** The pass that is held now, if any: to be given back. Nothing is renewed afterwards. */
  close(): T | undefined {
    this.#closed = true
    this.#timer?.()
    this.#timer = undefined
    return this.#current?.pass.pass
  }

  async #enter(): Promise<T> {
    if (this.#closed) throw fault('cancelled', { message: `the secrets of ${this.#doors.kind} are closed` })
    this.#current = undefined
    this.#timer?.()
    try {
      return this.#take(await this.#doors.login())
    } catch (e) {
      // It says nothing about the secrets behind it: their last good values may go on.
      if (!isFault(e, 'config.secret')) throw e
      throw fault('secret.unavailable', { message: e.message, detail: e.detail, cause: e })
    }
  }

  #take(pass: Pass<T>): T {
    const { clock } = this.#runtime
    this.#current = { pass, until: clock.mono() + pass.life }
    this.#timer?.()
    this.#timer = undefined
    // Without a way to prolong it, a new one is fetched when the old one is needed and over.
    if (!this.#closed && pass.renewable && this.#doors.renew && Number.isFinite(pass.life)) {
      this.#later(pass, pass.life * fraction * (1 + this.#runtime.random.float() / 20))
    }
    return pass.pass
  }

  #later(pass: Pass<T>, ms: number): void {
    this.#timer = this.#runtime.clock.after(ms, () => {
      this.#timer = undefined
      void this.#renew(pass)
    })
  }

  /** Owned by the timer: settles always, and says in the log what went wrong. */
  async #renew(pass: Pass<T>): Promise<void> {
    const { clock, log } = this.#runtime
    const source = this.#doors.kind
    try {
      const next = await this.#doors.renew!(pass.pass)
      if (this.#closed || this.#current?.pass !== pass) return
      // Near the end of what may be renewed at all, each renewal gives less.
      if (next.life >= Math.max(shortest, pass.life / 10)) return void this.#take(next)
      await this.get(pass.pass)
    } catch (e) {
      if (this.#closed || this.#current?.pass !== pass) return
      const code = isFault(e) ? e.code : 'bug'
      const left = this.#current.until - clock.mono()
      log.write('warn', 'secrets.renewal', { source, code, leftMs: Math.max(0, Math.round(left)) })
      if (code === 'secret.unavailable' && left > again) return this.#later(pass, again)
      // Refused, or nearly over: a new login, now if it can be had, else when somebody reads.
      await this.get(pass.pass).catch(() => undefined)
    }
  }
}
