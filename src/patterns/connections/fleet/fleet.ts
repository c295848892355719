import type { KeyRow } from '#adapters/stores/port.ts'
import type { Cancel } from '#kernel/clock.ts'
import { isFault } from '#kernel/fault.ts'
import type { Runtime } from '#kernel/runtime.ts'
import { beatEvery, fleetPrefix, leaseFor, Peers, processPrefix, type Card, type Row } from './peers.ts'

/** What a fleet needs of the journal's keys. */
export interface FleetKeys {
  list(prefix: string): Promise<readonly (KeyRow & { readonly name: string })[]>
  put(name: string, value: string): Promise<number>
  swap(name: string, version: number, value: string): Promise<boolean>
  drop(name: string): Promise<void>
}

export type FleetDeps = {
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'ids' | 'host' | 'log'>
  readonly keys: FleetKeys
  /** Calls back when another process may have written something; returns the way to stop. */
  readonly watch: (changed: () => void) => () => void
}

/** What was seen of the store, and when. */
export type View = {
  readonly me: string
  readonly peers: Peers
  readonly rows: ReadonlyMap<string, Row>
  /** Monotonic milliseconds at which the look was answered, and at which the last beat that was answered began. */
  readonly now: number
  readonly beat: number
  readonly wall: number
  /** Whether we have looked, without a gap, before: what is new was written since then. */
  readonly continuous: boolean
}

/** A key to be written if nobody was faster. */
export type Swap = {
  readonly name: string
  readonly version: number
  readonly value: string
  /** `unclear`: the store failed, and may have written it. */
  done(outcome: 'written' | 'lost' | 'unclear'): void
}

/** One thing that a connection shares. */
export interface Part {
  /** Adopts what was seen. */
  see(view: View): void
  /** What it has to say; asked after `see`. Undefined: nothing. */
  wish(view: View): Swap | undefined
  /** The store answers again after we were without it for long, but for a beat of ours: what is done alone ends. False: it does not after all. */
  together?(yes: boolean): void
  /** Whether it is in use, so that looking only every 5 s would be too seldom. */
  readonly active: boolean
  /** Gives up what it holds: asked when the process ends. */
  leave(view: View): Swap | undefined
}

/** Milliseconds between looks while something is in use; between two looks at least, whoever asks. */
const lookEvery = 1_000
const gap = 100
const tries = 4

/**
 * This process among those that share a store: it beats, looks what the others have written, lets its parts adopt it and
 * writes what they have to say, all in one commit. One round is under way at a time, so a store that is slow is not
 * asked twice, and nothing waits for a round but what has no permit at hand.
 *
 * A process in use writes once or twice a second at most while its demand changes and every 5 s while it does not.
 */
export class Fleet {
  readonly id: string
  readonly #deps: FleetDeps
  readonly #peers: Peers
  readonly #parts: Part[] = []
  #unwatch: () => void = () => {}
  #cancel: Cancel | undefined
  #armedFor = Infinity
  #round: Promise<void> | undefined
  #began = -Infinity
  #beat = -Infinity
  #beatDue = -Infinity
  #looked = -Infinity
  #away = false
  #started = false
  #stopped = false
  /** For measuring: keys written by this process. */
  readonly counts = { writes: 0, rounds: 0 }

  constructor(deps: FleetDeps) {
    this.#deps = deps
    this.id = deps.runtime.ids.next()
    this.#peers = new Peers(this.id, deps.runtime.host)
  }

  get peers(): Peers {
    return this.#peers
  }

  get keys(): FleetKeys {
    return this.#deps.keys
  }

  /** Whether the last round failed, or none has ended for so long that nobody knows what the others do. */
  get away(): boolean {
    return this.#away || this.#deps.runtime.clock.mono() - this.#looked > 2 * beatEvery
  }

  add(part: Part): void {
    this.#parts.push(part)
  }

  /** Joins. Resolves after the first round, also when the store did not answer it well: then it goes on alone. */
  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    if (this.#parts.length === 0) return
    this.#unwatch = this.#deps.watch(() => this.soon(2 * gap))
    await this.#run()
  }

  /** Somebody needs what the store has, or has something to say. */
  poke(): void {
    this.soon(0)
  }

  /** A round within `ms`, but not before 100 ms have passed since the last one began. */
  soon(ms: number): void {
    if (!this.#started || this.#stopped || this.#parts.length === 0) return
    const now = this.#deps.runtime.clock.mono()
    this.#arm(Math.max(now + ms, this.#began + gap))
  }

  /** Says goodbye: what we hold is free for the others at once, what we have used when a window has passed. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#unwatch()
    this.#cancel?.()
    await this.#round
    if (!this.#started || this.#parts.length === 0 || this.#beat === -Infinity) return
    try {
      for (let i = 0; i < tries; i++) {
        const view = await this.#look()
        const swaps = this.#parts.flatMap((p) => p.leave(view) ?? [])
        if (await this.#write(swaps)) break
      }
      await this.#deps.keys.drop(processPrefix + this.id)
    } catch (e) {
      // They will see that our beat has stopped.
      if (!isFault(e, 'store.closed')) this.#deps.runtime.log.write('warn', 'connection.fleet_away', { fault: e })
    }
  }

  #arm(at: number): void {
    if (this.#stopped || at >= this.#armedFor) return
    const { clock } = this.#deps.runtime
    this.#cancel?.()
    this.#armedFor = at
    this.#cancel = clock.after(Math.max(0, at - clock.mono()), () => {
      this.#armedFor = Infinity
      this.#cancel = undefined
      void this.#run()
    })
  }

  #run(): Promise<void> {
    if (this.#round) return this.#round.then(() => this.soon(0))
    this.#round = this.#turn().finally(() => {
      this.#round = undefined
      const { clock, random } = this.#deps.runtime
      const every = this.#parts.some((p) => p.active) ? lookEvery : beatEvery
      this.#arm(clock.mono() + every * (0.9 + 0.2 * random.float()))
    })
    return this.#round
  }

  async #turn(): Promise<void> {
    const { clock, log } = this.#deps.runtime
    this.#began = clock.mono()
    this.counts.rounds++
    const apart = this.#began - this.#beat >= leaseFor
    try {
      if (apart) await this.#return()
      if (clock.mono() >= this.#beatDue) await this.#sayAlive()
      for (let i = 0; i < tries && !this.#stopped; i++) {
        const view = await this.#look()
        for (const part of this.#parts) part.see(view)
        if (await this.#write(this.#parts.flatMap((p) => p.wish(view) ?? []))) break
      }
      if (this.#away) log.write('info', 'connection.fleet_back', {})
      this.#away = false
    } catch (e) {
      if (!this.#away && !isFault(e, 'store.closed')) log.write('warn', 'connection.fleet_away', { fault: e })
      this.#away = true
      if (apart) for (const part of this.#parts) part.together?.(false)
    }
  }

  /** Asks first, and ends what we do alone, before a beat tells the others that we are back: they rely on it then. */
  async #return(): Promise<void> {
    await this.#deps.keys.list(processPrefix + this.id)
    for (const part of this.#parts) part.together?.(true)
  }

  async #sayAlive(): Promise<void> {
    const { clock, host } = this.#deps.runtime
    const began = clock.mono()
    const card: Card = { host: host.name, pid: host.pid, wall: clock.now() }
    this.counts.writes++
    await this.#deps.keys.put(processPrefix + this.id, JSON.stringify(card))
    this.#beat = began
    this.#beatDue = began + beatEvery * 0.9
  }

  async #look(): Promise<View> {
    const { clock } = this.#deps.runtime
    const rows = await this.#deps.keys.list(fleetPrefix)
    const now = clock.mono()
    const wall = clock.now()
    const continuous = now - this.#looked < 2 * beatEvery
    this.#looked = now
    const gone = this.#peers.look(
      rows.filter((r) => r.name.startsWith(processPrefix)),
      now,
      wall,
    )
    for (const id of gone) {
      this.counts.writes++
      await this.#deps.keys.drop(processPrefix + id)
    }
    // Somebody took us for gone: he is told, before we rely on anything.
    if (!rows.some((r) => r.name === processPrefix + this.id)) this.#beatDue = -Infinity
    const byName = new Map(rows.map((r) => [r.name, r]))
    return { me: this.id, peers: this.#peers, rows: byName, now, beat: this.#beat, wall, continuous }
  }

  /** Writes in one commit. False when somebody was faster with one of them. */
  async #write(swaps: readonly Swap[]): Promise<boolean> {
    let all = true
    let failed: unknown
    await Promise.all(
      swaps.map(async (s) => {
        this.counts.writes++
        try {
          const written = await this.#deps.keys.swap(s.name, s.version, s.value)
          all &&= written
          s.done(written ? 'written' : 'lost')
        } catch (e) {
          failed = e
          s.done('unclear')
        }
      }),
    )
    if (failed !== undefined) throw failed
    return all
  }
}
