import type { Cancel, Clock } from '#kernel/clock.ts'

/** Width of the finest slot, in milliseconds. What falls due is exact all the same: the wheel is woken at the very time. */
const grain = 16
const slots = 64
const levels = 3
/** The clock is never armed for longer, in milliseconds: platform timers overflow at 24.8 days. */
const longest = 3_600_000

/** Something that falls due. It is its own link of the list it stands in, so leaving costs two writes and no search. */
export abstract class Entry {
  due = 0
  order = 0
  prev: Entry | undefined = undefined
  next: Entry | undefined = undefined
  abstract fire(): void
  /** The wheel is closed before this fell due. */
  abstract close(): void
}

class Head extends Entry {
  constructor() {
    super()
    this.prev = this
    this.next = this
  }
  fire(): void {}
  close(): void {}
}

/**
 * All waits of a pipeline on one timer of the clock: a hierarchical wheel (Varghese and Lauck 1987) of 3 × 64 slots of
 * 16 ms, 1 s and 65 s; what is further away waits in the last slot and is placed again. `add` and `remove` are O(1).
 *
 * A finished call leaves at once. Were it left in its slot until due, every call would outlive the nursery of the
 * garbage collector, which was measured at nine times the cost of the whole pipeline.
 *
 * Entries fire at their due time, in order of due time, ties in order of adding. The timer of the clock is not given
 * back when the wheel runs empty, because the next call would only arm it again: it fires once for nothing, later. So
 * between calls at most one timer is armed, none after `close`.
 */
export class Wheel {
  readonly clock: Clock
  readonly #heads: readonly Entry[] = Array.from({ length: levels * slots }, () => new Head())
  readonly #due: Entry = new Head()
  #base = 0
  #size = 0
  #order = 0
  #wake = Infinity
  #cancel: Cancel | undefined
  #closed = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  get size(): number {
    return this.#size
  }

  get closed(): boolean {
    return this.#closed
  }

  /** `now` is the present; `due` may lie before it and then falls due at once, but never inside this call. */
  add(entry: Entry, due: number, now: number): void {
    if (this.#size++ === 0) this.#base = Math.floor(now / grain)
    entry.due = due
    entry.order = this.#order++
    this.#place(entry)
    if (due < this.#wake && !this.#closed) this.#arm(due)
  }

  /** Nothing happens if the entry is not in the wheel. */
  remove(entry: Entry): void {
    const { prev, next } = entry
    if (prev === undefined || next === undefined) return
    prev.next = next
    next.prev = prev
    entry.prev = undefined
    entry.next = undefined
    this.#size--
  }

  /** Gives the timer back and closes what is still waiting, in order of due time. Nothing fires any more. */
  close(): void {
    this.#closed = true
    this.#cancel?.()
    this.#cancel = undefined
    this.#wake = Infinity
    const left = [this.#due, ...this.#heads].flatMap((head) => [...entriesOf(head)])
    left.sort(byDue)
    for (const entry of left) {
      // One that is closed may take others with it.
      if (entry.prev === undefined) continue
      this.remove(entry)
      entry.close()
    }
  }

  #place(entry: Entry): void {
    const tick = Math.max(Math.floor(entry.due / grain), this.#base)
    const ahead = tick - this.#base
    // One slot less than there are on the upper levels: base may stand anywhere within its slot, and the slot that
    // would be a whole turn ahead must not be taken for the present one.
    const at =
      ahead < slots
        ? tick & 63
        : ahead < 63 * 64
          ? slots + ((tick / 64) & 63)
          : 2 * slots + ((Math.min(tick, this.#base + 63 * 4096) / 4096) & 63)
    link(this.#heads[at]!, entry)
  }

  #arm(due: number): void {
    this.#cancel?.()
    this.#wake = due
    const delay = due - this.clock.mono()
    this.#cancel = this.clock.after(delay > longest ? longest : delay > 0 ? delay : 0, this.#woken)
  }

  readonly #woken = (): void => {
    this.#cancel = undefined
    this.#wake = Infinity
    this.#collect(this.clock.mono())
    for (let entry = this.#due.next!; entry !== this.#due; entry = this.#due.next!) {
      this.remove(entry)
      entry.fire()
    }
    if (this.#size === 0 || this.#closed) return
    const wake = this.#earliest()
    if (wake < this.#wake) this.#arm(wake)
  }

  /** Moves what is due to the due list, in order, and brings nearer what has come nearer. */
  #collect(now: number): void {
    const from = this.#base
    const to = Math.max(from, Math.floor(now / grain))
    this.#base = to
    const due: Entry[] = []
    for (let level = levels - 1; level >= 0; level--) {
      const width = 64 ** level
      const first = Math.floor(from / width)
      const last = Math.min(Math.floor(to / width), first + slots - 1)
      for (let slot = first; slot <= last; slot++) {
        const head = this.#heads[level * slots + (slot & 63)]!
        if (head.next === head) continue
        const entries = [...entriesOf(head)]
        head.next = head
        head.prev = head
        for (const entry of entries) {
          if (entry.due <= now) due.push(entry)
          else this.#place(entry)
        }
      }
    }
    due.sort(byDue)
    for (const entry of due) link(this.#due, entry)
  }

  /** When to wake next: at the earliest due time, or sooner to bring a far slot nearer. */
  #earliest(): number {
    let earliest = Infinity
    for (let level = 0; level < levels; level++) {
      const width = 64 ** level
      const first = Math.floor(this.#base / width)
      for (let k = 0; k < slots; k++) {
        const head = this.#heads[level * slots + ((first + k) & 63)]!
        if (head.next === head) continue
        if (level > 0 && k > 0) earliest = Math.min(earliest, (first + k) * width * grain)
        else for (const entry of entriesOf(head)) earliest = Math.min(earliest, entry.due)
        break
      }
    }
    return earliest
  }
}

function link(head: Entry, entry: Entry): void {
  const last = head.prev!
  entry.prev = last
  entry.next = head
  last.next = entry
  head.prev = entry
}

function* entriesOf(head: Entry): Generator<Entry> {
  for (let entry = head.next!; entry !== head; entry = entry.next!) yield entry
}

function byDue(a: Entry, b: Entry): number {
  return a.due - b.due || a.order - b.order
}
