import { fault } from '#kernel/fault.ts'
import { offsetCount } from '../port.ts'
import { int8Array, textArray } from './encode.ts'
import type { Session } from './session.ts'
import type { Job } from './statements.ts'
import { hashOf, type Answers, type Batch, type JsonOutcome, type Phase } from './units.ts'

/** By the number that the commit left under its session, with its outcome. */
export async function recorded(session: Session, id: string, job: Job, answers: Answers): Promise<boolean> {
  const [row] = await session.query('select seq, outcome from fl_sessions where id = $1', [id])
  if (row === undefined || row[0] !== job.seq) return false
  const [phase, ...more] = job.phases
  // Of a commit in several phases only the last one's outcome is kept.
  if (more.length > 0) throw fault('store.unanswered')
  answers.general(phase!.general, row[1] as JsonOutcome[])
  await advanced(session, phase!, answers)
  for (const batch of phase!.batches) if (!(await located(session, batch, answers))) throw fault('store.unanswered')
  return true
}

/** By the ids of the messages. Cursors alone are moved again: that changes nothing where it was done. */
export async function found(session: Session, job: Job, answers: Answers): Promise<boolean> {
  let any = false
  for (const phase of job.phases) {
    for (const batch of phase.batches) {
      if (!(await located(session, batch, answers))) return any && Promise.reject(fault('store.unanswered'))
      any = true
    }
  }
  if (!any) return false
  for (const phase of job.phases) await advanced(session, phase, answers)
  return true
}

/** A lease that is still held was held then. */
async function advanced(session: Session, phase: Phase, answers: Answers): Promise<void> {
  for (const a of phase.advances) {
    const rows = await session.query('select 1 from fl_leases where name = $1 and epoch = $2 and worker is not null', [
      a.lease.name,
      a.lease.epoch,
    ])
    answers.advanced(a, rows.length > 0)
  }
}

/** Whether the batch is in the log: then also where each of its entries is; those not behind the old heads were there before. */
async function located(session: Session, batch: Batch, answers: Answers): Promise<boolean> {
  const ids = textArray(batch.sent.map((s) => s.entry.id))
  const rows = await session.query('select id, pos from fl_find($1, $2, $3)', [batch.topic, int8Array(batch.from), ids])
  if (rows.length === 0) return false
  const at = new Map(rows.map((r) => [r[0] as string, r[1] as number]))
  const missing = batch.sent.filter((s) => !at.has(s.entry.id))
  const seen = new Map<string, number>()
  if (missing.length > 0) {
    const known = await session.query('select hash, pos from fl_known($1, $2)', [
      batch.topic,
      int8Array(missing.map((s) => hashOf(s.entry))),
    ])
    const byHash = new Map(known.map((r) => [r[0] as number, r[1] as number]))
    for (const s of missing) seen.set(s.entry.id, byHash.get(hashOf(s.entry)!)!)
  }
  const base = batch.counts.map((_, p) => {
    const first = batch.sent.find((s) => s.entry.slot === batch.topic + p && at.has(s.entry.id))
    return first ? at.get(first.entry.id)! % offsetCount : 0
  })
  answers.appended(batch, base, missing.length === 0 ? null : batch.sent.map((s) => seen.get(s.entry.id) ?? null))
  return true
}
