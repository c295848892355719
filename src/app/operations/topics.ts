import type { OperationDeps } from './deps.ts'

export type TopicStatus = {
  readonly name: string
  readonly partitions: number
  /** Messages accepted since the beginning, and those still kept. */
  readonly accepted: number
  readonly messages: number
}

export async function topics(deps: OperationDeps): Promise<readonly TopicStatus[]> {
  const { journal, runtime } = deps
  await journal.log.refresh()
  const out: TopicStatus[] = []
  for (const t of journal.log.topics) {
    const bounds = await runtime.store.read({
      read: 'bounds',
      slots: Array.from({ length: t.partitions }, (_, p) => t.slot + p),
    })
    let accepted = 0
    let messages = 0
    for (const b of bounds) {
      accepted += b.next
      messages += b.next - b.first
    }
    out.push({ name: t.name, partitions: t.partitions, accepted, messages })
  }
  return out
}
