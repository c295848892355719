/** Values under names, bounded in number and bytes; the one that was not needed for longest goes first. */
export class Kept<T> {
  readonly #values = new Map<string, { readonly value: T; readonly bytes: number }>()
  readonly #most: number
  readonly #mostBytes: number
  #bytes = 0

  constructor(most: number, mostBytes: number) {
    this.#most = most
    this.#mostBytes = mostBytes
  }

  get size(): number {
    return this.#values.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** One that would take more than an eighth of the room is not kept. */
  put(name: string, value: T, bytes: number): void {
    this.drop(name)
    if (bytes > this.#mostBytes / 8) return
    this.#values.set(name, { value, bytes })
    this.#bytes += bytes
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#most && this.#bytes <= this.#mostBytes) return
      this.drop(oldest)
    }
  }

  get(name: string): T | undefined {
    const kept = this.#values.get(name)
    if (kept === undefined) return undefined
    this.#values.delete(name)
    this.#values.set(name, kept)
    return kept.value
  }

  drop(name: string): void {
    const kept = this.#values.get(name)
    if (kept === undefined) return
    this.#values.delete(name)
    this.#bytes -= kept.bytes
  }

  dropWhere(goes: (value: T) => boolean): number {
    let dropped = 0
    for (const [name, { value }] of this.#values) {
      if (!goes(value)) continue
      this.drop(name)
      dropped++
    }
    return dropped
  }
}
