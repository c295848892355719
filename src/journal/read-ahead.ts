/** Bytes of messages that one partition, and all partitions of this process together, hold ahead of their handlers. */
const perPartition = 4 * 1024 * 1024
const together = 16 * 1024 * 1024
/** A partition that holds nothing may always read this much: all go on, however full it is. */
const least = 256 * 1024

/** What this process has read and not yet finished: a hundred lagging partitions must not fill its memory. */
export class ReadAhead {
  #bytes = 0

  /** How many bytes a partition that holds `own` may read now; 0: none. */
  room(own: number): number {
    if (own >= perPartition) return 0
    const left = Math.min(perPartition - own, together - this.#bytes)
    return own === 0 ? Math.max(least, left) : Math.max(0, left)
  }

  take(bytes: number): void {
    this.#bytes += bytes
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }

  get bytes(): number {
    return this.#bytes
  }
}
