import type { Connector } from './connect.ts'
import type { Session } from './session.ts'

/** One connection, opened when it is asked for and absent: by all who ask at once, once. */
export class Link {
  readonly #connector: Connector
  #session: Promise<Session> | undefined

  constructor(connector: Connector) {
    this.#connector = connector
  }

  /** Rejects with `store.unreachable` when nobody has taken us by `until` (monotonic). */
  session(until: number): Promise<Session> {
    if (this.#session) return this.#session
    const opened = this.#connector.connect('ours', until)
    this.#keep(opened)
    opened.catch(() => this.#forget(opened))
    return opened
  }

  /** Uses a connection that is open already. */
  adopt(session: Session): void {
    this.#keep(Promise.resolve(session))
  }

  #keep(opened: Promise<Session>): void {
    this.#session = opened
    void opened.then(
      (session) => (session.onLost = () => this.#forget(opened)),
      () => {},
    )
  }

  #forget(opened: Promise<Session>): void {
    if (this.#session === opened) this.#session = undefined
  }

  /** Closes it; the next who asks gets another one. */
  async close(last: (session: Session) => Promise<unknown> = () => Promise.resolve()): Promise<void> {
    const session = await this.#session?.catch(() => undefined)
    this.#session = undefined
    if (!session) return
    await last(session).catch(() => {})
    await session.close()
  }
}
