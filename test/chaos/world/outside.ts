import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Buffer } from 'node:buffer'

/** Somebody else's API, with idempotency keys and a ledger of its own: what it was asked, and what it did. */
export class Outside {
  /** Key → what was charged under it: an effect. */
  readonly effects = new Map<string, string>()
  requests = 0
  /** Requests under a key that it knew: repeats, without an effect. */
  repeats = 0
  readonly #server: Server
  readonly #held: (() => void)[] = []
  #holding = false
  #onRequest: () => void = () => {}

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (d: Buffer) => chunks.push(d))
      request.on('error', () => {})
      request.on('end', () => {
        const { u } = JSON.parse(Buffer.concat(chunks).toString()) as { u: string }
        this.#charge(String(request.headers['idempotency-key']), u, response)
      })
    })
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** From now on effects take place, and nobody is answered. */
  hold(): void {
    this.#holding = true
  }

  /** Answers everybody who waits. */
  release(): void {
    this.#holding = false
    for (const answer of this.#held.splice(0)) answer()
  }

  /** Resolves when `holds` after a request. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onRequest = () => {
        if (holds()) resolve()
      }
      this.#onRequest()
    })
  }

  get waiting(): number {
    return this.#held.length
  }

  #charge(key: string, u: string, response: ServerResponse): void {
    this.requests++
    if (this.effects.has(key)) this.repeats++
    else this.effects.set(key, u)
    const answer = (): void => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
    if (this.#holding) this.#held.push(answer)
    else answer()
    this.#onRequest()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
