import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { checkOptions } from '#kernel/definition.ts'
import { fault } from '#kernel/fault.ts'
import type { Random } from '#kernel/random.ts'
import { seededRandom } from './random.ts'
import { Wire, wireProblems, type WireEnd, type WireFaults } from './wire.ts'

export type FaultProxyOptions = {
  readonly target: { readonly host?: string; readonly port: number }
  /** Port to listen on, of 127.0.0.1. Default 0: a free one. */
  readonly port?: number
  /** The same seed draws the same jitter and the same pieces for the n-th connection. Default 1. */
  readonly seed?: number
}

/** `up`: from the client to the target. `down`: back. */
export type Direction = 'up' | 'down' | 'both'

export type ProxyCounts = {
  /** Connections taken so far, and those that are there now. */
  readonly connections: number
  readonly open: number
  /** Bytes passed on, in how many pieces, and bytes that vanished. */
  readonly up: number
  readonly down: number
  readonly pieces: number
  readonly swallowed: number
  /** Connections that the proxy itself has ended. */
  readonly ended: Readonly<Record<WireEnd, number>>
}

export interface FaultProxy {
  readonly port: number
  readonly counts: ProxyCounts
  /** These faults from now on in that direction, for open and new connections, in place of those before. */
  inject(direction: Direction, faults: WireFaults): void
  /** No faults in either direction, and new connections are taken again. */
  heal(): Promise<void>
  /** New connections are refused; open ones go on. */
  refuse(): void
  /** RST to both sides of all open connections; new ones are taken. */
  reset(): void
  /** Resets what is open, and listens no more. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * A TCP proxy on 127.0.0.1 that breaks what passes through it: between your code and a database, a broker or an API. Faults are
 * switched while connections are open, for each direction on its own. Holds at most about 64 KiB a direction: a slow
 * reader slows its writer. Real sockets and real time, so a test waits for events of its own, never for a number of ms.
 *
 * Rejects with `config.option` for unknown or wrong options.
 *
 * @example
 * await using proxy = await faultProxy({ target: { port: 5432 } })
 * proxy.inject('down', { blackHole: true })            // answers vanish, and nobody hears of it
 * proxy.inject('both', { latency: '50ms', jitter: '20ms', slice: { bytes: 16, pause: '5ms' } })
 * proxy.inject('up', { end: { how: 'reset', after: 1_000 } })
 * await proxy.heal()
 */
export async function faultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const problems = checkOptions('faultProxy', options, ['target', 'port', 'seed'])
  if (!Number.isInteger(options?.target?.port))
    problems.push({ path: 'faultProxy.target', message: 'has no port', fix: 'pass { port: 5432 }' })
  refuseWrong(problems)
  const proxy = new Proxying(options)
  await proxy.listen()
  return proxy
}

class Proxying implements FaultProxy {
  readonly #target: { readonly host: string; readonly port: number }
  readonly #seed: number
  readonly #open = new Set<Connection>()
  readonly #counts = { connections: 0, up: 0, down: 0, pieces: 0, swallowed: 0, reset: 0, close: 0, 'half-close': 0 }
  #faults: { readonly up: WireFaults; readonly down: WireFaults } = { up: {}, down: {} }
  #server: Server | undefined
  #port: number

  constructor({ target, port = 0, seed = 1 }: FaultProxyOptions) {
    this.#target = { host: target.host ?? '127.0.0.1', port: target.port }
    this.#port = port
    this.#seed = seed
  }

  get port(): number {
    return this.#port
  }

  get counts(): ProxyCounts {
    const { reset, close, 'half-close': half, ...counts } = this.#counts
    return { ...counts, open: this.#open.size, ended: { reset, close, 'half-close': half } }
  }

  async listen(): Promise<void> {
    if (this.#server) return
    const server = (this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client)))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, '127.0.0.1', resolve)
    })
    this.#port = (server.address() as AddressInfo).port
  }

  inject(direction: Direction, faults: WireFaults): void {
    refuseWrong([
      ...wireProblems('faultProxy.inject', faults),
      ...(['up', 'down', 'both'].includes(direction)
        ? []
        : [{ path: 'faultProxy.inject', message: `${direction} is no direction`, fix: "pass 'up', 'down' or 'both'" }]),
    ])
    this.#faults = direction === 'both' ? { up: faults, down: faults } : { ...this.#faults, [direction]: faults }
    for (const c of this.#open) c.set(direction, faults)
  }

  async heal(): Promise<void> {
    this.inject('both', {})
    await this.listen()
  }

  refuse(): void {
    // The port is given back at once; the server itself ends when the last open connection has.
    this.#server?.close()
    this.#server = undefined
  }

  reset(): void {
    for (const c of this.#open) c.reset()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refuse()
    const gone = [...this.#open].map((c) => c.gone)
    for (const c of this.#open) c.drop()
    await Promise.all(gone)
  }

  #accept(client: Socket): void {
    const n = this.#counts.connections++
    const connection = new Connection(client, connect({ ...this.#target, allowHalfOpen: true }), {
      random: (direction) => seededRandom(this.#seed + n * 2 + direction),
      count: (what, by) => (this.#counts[what] += by),
    })
    this.#open.add(connection)
    void connection.gone.then(() => this.#open.delete(connection))
    connection.set('up', this.#faults.up)
    connection.set('down', this.#faults.down)
  }
}

type Counted = 'up' | 'down' | 'pieces' | 'swallowed' | WireEnd

/** A client, the target, and a wire each way. */
class Connection {
  /** Resolves when both sockets are closed. */
  readonly gone: Promise<unknown>
  readonly #sockets: readonly [Socket, Socket]
  readonly #up: Wire
  readonly #down: Wire
  readonly #count: (what: Counted, by: number) => void
  #over = false

  constructor(
    client: Socket,
    target: Socket,
    of: { readonly random: (direction: 0 | 1) => Random; readonly count: (what: Counted, by: number) => void },
  ) {
    this.#sockets = [client, target]
    this.#count = of.count
    const owner = (moved: 'up' | 'down'): ConstructorParameters<typeof Wire>[3] => ({
      moved: (bytes) => {
        of.count(moved, bytes)
        of.count('pieces', 1)
      },
      swallowed: (bytes) => of.count('swallowed', bytes),
      ended: (how) => this.#end(how, moved),
    })
    this.#up = new Wire(client, target, of.random(0), owner('up'))
    this.#down = new Wire(target, client, of.random(1), owner('down'))
    this.gone = Promise.all(this.#sockets.map((s) => new Promise((resolve) => s.once('close', resolve))))
    // A socket that fails has been reset, or the target cannot be reached: the other side hears it as a reset, unless
    // nothing is heard from there.
    client.on('error', () => this.#lost(this.#up))
    target.on('error', () => this.#lost(this.#down))
  }

  set(direction: Direction, faults: WireFaults): void {
    if (direction !== 'down') this.#up.set(faults)
    if (direction !== 'up') this.#down.set(faults)
  }

  /** Also when it is over: a side that was asked to close may not have answered. */
  reset(): void {
    if (!this.#over) this.#count('reset', 1)
    this.#drop()
  }

  #lost(from: Wire): void {
    if (!this.#over && !from.silent) this.#drop()
  }

  #drop(): void {
    this.#over = true
    this.#up.close()
    this.#down.close()
    // A socket that is still connecting is reset as soon as it has connected: the target may have taken it already.
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** As `reset`, without waiting for a target that never answers. */
  drop(): void {
    this.reset()
    for (const socket of this.#sockets) if (socket.connecting) socket.destroy()
  }

  #end(how: WireEnd, direction: 'up' | 'down'): void {
    if (this.#over) return
    if (how === 'reset') return this.reset()
    this.#count(how, 1)
    const [client, target] = this.#sockets
    if (how === 'half-close') return void (direction === 'up' ? target : client).end()
    this.#over = true
    this.#up.close()
    this.#down.close()
    for (const socket of this.#sockets) socket.end()
  }
}

function refuseWrong(problems: readonly { path: string; message: string; fix: string }[]): void {
  if (problems.length === 0) return
  const message = problems.map((p) => `${p.path} ${p.message}: ${p.fix}`).join('; ')
  throw fault('config.option', { message, detail: { problems } })
}
