import type { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import { checkOptions, type Problem } from '#kernel/definition.ts'
import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import type { Random } from '#kernel/random.ts'

/** What is done to the bytes of one direction of a connection. Absent: nothing. */
export type WireFaults = {
  /** Every byte arrives this much later. */
  readonly latency?: Duration
  /** Up to this much on top, drawn anew for each read; order is kept. */
  readonly jitter?: Duration
  /** Bytes a second; 0: nothing moves until this is lifted, and nothing is lost. */
  readonly bytesPerSecond?: number
  /** Written in pieces of 1 to `bytes`, up to `pause` after each. */
  readonly slice?: { readonly bytes: number; readonly pause: Duration }
  /**
   * Bytes vanish, the end of the stream too. A connection that has lost bytes stays like this when the fault is lifted,
   * because no TCP stream has a hole; new connections are whole.
   */
  readonly blackHole?: boolean
  /** Ends each connection once `after` more bytes have passed (0: at once, new ones when they are made). */
  readonly end?: { readonly how: WireEnd; readonly after: number }
}

/** `reset`: RST to both sides. `close`: FIN to both. `half-close`: FIN in this direction only, the other one goes on. */
export type WireEnd = 'reset' | 'close' | 'half-close'

const ends: readonly WireEnd[] = ['reset', 'close', 'half-close']

/** Bytes that one direction holds before it reads no more: then the kernel's buffers fill, and the sender waits. */
const held = 64 * 1024

/** Everything that is wrong with `faults`. */
export function wireProblems(path: string, faults: WireFaults): Problem[] {
  const problems = checkOptions(path, faults, ['latency', 'jitter', 'bytesPerSecond', 'slice', 'blackHole', 'end'])
  const wrong = (option: string, fix: string): void =>
    void problems.push({ path: `${path}.${option}`, message: 'is not valid', fix })
  const count = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && Number(value) >= least
  for (const option of ['latency', 'jitter'] as const)
    if (faults?.[option] !== undefined && !isDuration(faults[option])) wrong(option, "pass a duration like '250ms'")
  const { bytesPerSecond, slice, end } = faults ?? {}
  if (bytesPerSecond !== undefined && !count(bytesPerSecond, 0)) wrong('bytesPerSecond', 'pass a whole number from 0')
  if (slice !== undefined && !(count(slice.bytes, 1) && isDuration(slice.pause)))
    wrong('slice', "pass { bytes: 1 or more, pause: '10ms' }")
  if (end !== undefined && !(ends.includes(end.how) && count(end.after, 0)))
    wrong('end', `pass { how: ${ends.join(' | ')}, after: bytes }`)
  return problems
}

type Piece = { readonly bytes: Buffer; readonly at: number; readonly chance: number }

/** What a wire tells its connection. */
export type WireOwner = {
  moved(bytes: number): void
  swallowed(bytes: number): void
  ended(how: WireEnd): void
}

/** One direction of one connection: reads, holds at most about 64 KiB, and writes as its faults allow. */
export class Wire {
  readonly #from: Socket
  readonly #to: Socket
  readonly #random: Random
  readonly #owner: WireOwner
  #faults: WireFaults = {}
  /** Bytes until `end`; absent: it does not end. */
  #left: number | undefined
  readonly #pieces: Piece[] = []
  #bytes = 0
  /** When the next byte may be written: bandwidth and pauses move it on. */
  #free = 0
  #timer: NodeJS.Timeout | undefined
  #draining = false
  #hole = false
  #finished = false
  #closed = false

  constructor(from: Socket, to: Socket, random: Random, owner: WireOwner) {
    this.#from = from
    this.#to = to
    this.#random = random
    this.#owner = owner
    from.on('data', (bytes: Buffer) => this.#read(bytes))
    from.on('end', () => {
      this.#finished = true
      this.#pump()
    })
    to.on('drain', () => {
      this.#draining = false
      this.#pump()
    })
  }

  /** These faults from now on, in place of those before; what is being held obeys them too. */
  set(faults: WireFaults): void {
    this.#faults = faults
    this.#left = faults.end?.after
    this.#free = 0
    this.#pump()
  }

  /** Whether nothing is heard through it, the end of the stream included. */
  get silent(): boolean {
    return this.#hole || this.#faults.blackHole === true
  }

  /** Nothing passes any more; what comes is read and forgotten. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#pieces.length = 0
    this.#bytes = 0
    this.#from.resume()
  }

  #read(bytes: Buffer): void {
    if (this.#faults.blackHole && !this.#closed) this.#hole = true
    if (this.#closed || this.#hole) return this.#owner.swallowed(bytes.length)
    this.#pieces.push({ bytes, at: performance.now(), chance: this.#random.float() })
    this.#bytes += bytes.length
    if (this.#bytes >= held) this.#from.pause()
    this.#pump()
  }

  #pump(): void {
    clearTimeout(this.#timer)
    if (this.#faults.blackHole && this.#pieces.length > 0) this.#swallow()
    while (!this.#closed) {
      if (this.#left === 0) return this.#end()
      const piece = this.#pieces[0]
      if (piece === undefined) {
        if (this.#finished && !this.silent) this.#to.end()
        return
      }
      // A stalled wire is not asked again by a timer: the next `set` does.
      if (this.#draining || this.#faults.bytesPerSecond === 0) return
      const wait = Math.max(this.#due(piece), this.#free) - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#pump(), wait)
        return
      }
      this.#write(piece)
    }
  }

  #due({ at, chance }: Piece): number {
    return at + milliseconds(this.#faults.latency ?? '0ms') + chance * milliseconds(this.#faults.jitter ?? '0ms')
  }

  #write(piece: Piece): void {
    const { slice, bytesPerSecond } = this.#faults
    let size = Math.min(piece.bytes.length, this.#left ?? Number.POSITIVE_INFINITY)
    if (slice) size = Math.min(size, 1 + Math.floor(this.#random.float() * slice.bytes))
    // A tenth of a second at a time, so that a slow wire is slow and does not jerk.
    if (bytesPerSecond !== undefined) size = Math.min(size, Math.max(1, Math.floor(bytesPerSecond / 10)))
    const pause = slice ? this.#random.float() * milliseconds(slice.pause) : 0
    this.#free = performance.now() + pause + (bytesPerSecond === undefined ? 0 : (size / bytesPerSecond) * 1_000)
    if (size === piece.bytes.length) this.#pieces.shift()
    else this.#pieces[0] = { ...piece, bytes: piece.bytes.subarray(size) }
    this.#bytes -= size
    if (this.#left !== undefined) this.#left -= size
    this.#draining = !this.#to.write(piece.bytes.subarray(0, size))
    this.#owner.moved(size)
    if (this.#bytes < held) this.#from.resume()
  }

  #swallow(): void {
    this.#hole = true
    this.#owner.swallowed(this.#bytes)
    this.#pieces.length = 0
    this.#bytes = 0
    this.#from.resume()
  }

  /** What has been written is on its way before the end is: asked for behind it. */
  #end(): void {
    const { how } = this.#faults.end!
    this.close()
    if (this.#to.writableLength === 0) this.#owner.ended(how)
    else this.#to.write('', () => this.#owner.ended(how))
  }
}
