/** The process row of a fleet: `fleet/process/<id>`. Its version rises with every beat. */
export type Card = { readonly host: string; readonly pid: number; readonly wall: number }

export const fleetPrefix = 'fleet/'
export const processPrefix = `${fleetPrefix}process/`

/** Milliseconds from the beginning of a beat for which we may rely on what we hold. */
export const leaseFor = 15_000
/** Nobody who gives no sign of life for so long, in milliseconds, holds anything; he has known that for 15 s then. */
export const goneAfter = 30_000
/** Between beats, in milliseconds. */
export const beatEvery = 5_000
/** Up to this difference, in milliseconds, a beat that we did not see happen is believed by its wall time. */
const fresh = 10_000

type Sighting = { readonly version: number; readonly at: number; readonly confirmed: boolean }

export type Row = { readonly name: string; readonly value: string; readonly version: number }

/**
 * Who lives, judged by seeing beats change on our own monotonic clock. Times are monotonic milliseconds unless they are
 * called wall.
 */
export class Peers {
  readonly #me: string
  readonly #host: { readonly name: string; alive(pid: number): boolean }
  readonly #sightings = new Map<string, Sighting>()
  #alive: ReadonlySet<string> = new Set()
  #looked = -Infinity
  /** When everybody who lives had been seen since we lost sight of them: from then on nobody uses more than is written. */
  #settled = Infinity
  #everBlind = false

  constructor(me: string, host: { readonly name: string; alive(pid: number): boolean }) {
    this.#me = me
    this.#host = host
  }

  /** Takes a look. Returns those who are gone and whose row is still there. */
  look(rows: readonly Row[], now: number, wall: number): readonly string[] {
    const first = this.#looked === -Infinity
    const blind = !first && now - this.#looked >= leaseFor
    if (blind) {
      // Whoever could not be seen may have been unable to write as well: his time begins anew.
      this.#everBlind = true
      this.#settled = Infinity
      for (const [id, s] of this.#sightings) this.#sightings.set(id, { ...s, at: now, confirmed: false })
    }
    this.#looked = now
    const gone: string[] = []
    const alive = new Set<string>([this.#me])
    const seen = new Set<string>()
    let all = true
    for (const row of rows) {
      const id = row.name.slice(processPrefix.length)
      const card = cardOf(row.value)
      seen.add(id)
      if (id === this.#me) continue
      const before = this.#sightings.get(id)
      let sighting = before
      if (before === undefined || before.version !== row.version) {
        // A beat that we saw come. Else it may be old, and its process without the store for long: its wall time must tell.
        const came = before !== undefined || !(first || blind)
        const confirmed = came || (card !== undefined && Math.abs(wall - card.wall) < fresh)
        sighting = { version: row.version, at: now, confirmed }
        this.#sightings.set(id, sighting)
      }
      const dead = card !== undefined && card.host === this.#host.name && !this.#host.alive(card.pid)
      if (dead || now - sighting!.at >= goneAfter) {
        gone.push(id)
        continue
      }
      alive.add(id)
      if (!sighting!.confirmed) {
        all = false
        if (first) this.#everBlind = true
      }
    }
    for (const id of this.#sightings.keys()) if (!seen.has(id)) this.#sightings.delete(id)
    this.#alive = alive
    if (!all) this.#settled = Infinity
    else if (this.#settled === Infinity) this.#settled = now
    return gone
  }

  alive(id: string): boolean {
    return this.#alive.has(id)
  }

  /** This process included. */
  get count(): number {
    return this.#alive.size
  }

  /** Whether for `span` ms nobody can have used more than what is written. */
  settled(now: number, span: number): boolean {
    return now >= this.#settled + (this.#everBlind ? span : 0)
  }
}

function cardOf(text: string): Card | undefined {
  try {
    const { host, pid, wall } = JSON.parse(text) as Partial<Card>
    return typeof host === 'string' && typeof pid === 'number' && typeof wall === 'number'
      ? { host, pid, wall }
      : undefined
  } catch {
    return undefined
  }
}
