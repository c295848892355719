import type { Log } from '#journal/log.ts'
import { dataOf } from '#patterns/topics/envelope.ts'
import type { Changes } from '#patterns/connections/cache/cache.ts'

/** Messages and bytes of one read. */
const page = 1_000
const pageBytes = 1_048_576
/** Messages at once of which it is not read what they say. */
const most = 10_000

/**
 * What is appended to topics, told in every process: read from the heads of the log, which each process moves when it hears of a commit,
 * and not by a durable subscription, of which one process in the fleet gets a message. Nothing is kept: who begins to follow begins with
 * what comes then, and what happens while a process is down is no matter to memory that went with it.
 */
export function topicChanges(log: Pick<Log, 'topic' | 'head' | 'read' | 'onAppend'>): Changes {
  return {
    follow(name, reads, told) {
      const { slot: first, partitions } = log.topic(name)
      const stops = Array.from({ length: partitions }, (_, p) => {
        const slot = first + p
        let next = log.head(slot)
        return log.onAppend(slot, () => {
          const from = next
          next = log.head(slot)
          if (next > from) told(reads ? said(log, slot, from, next) : undefined)
        })
      })
      return () => {
        for (const stop of stops) stop()
      }
    },
  }
}

async function said(log: Pick<Log, 'read'>, slot: number, from: number, below: number): Promise<readonly unknown[]> {
  if (below - from > most) throw new Error(`${below - from} messages at once`)
  const all: unknown[] = []
  for (let next = from; next < below;) {
    const stored = await log.read(slot, next, Math.min(page, below - next), pageBytes)
    // Compaction may have taken the last of them: what they were about, the newer one of their key is about too.
    if (stored.length === 0) break
    for (const s of stored) all.push(dataOf(s))
    next = stored.at(-1)!.offset + 1
  }
  return all
}
