import type { Sync, Unit } from '../port.ts'
import { byteaArray, escapedJson, int4Array, int8Array, textArray } from './encode.ts'
import type { Row } from './session.ts'
import {
  hashOf,
  settledCursor,
  unitJson,
  type Advance,
  type Answers,
  type Batch,
  type General,
  type JsonOutcome,
  type Phase,
} from './units.ts'

export type Statement = { readonly text: string; readonly name?: string; readonly values?: readonly unknown[] }

/** What is committed together: units, sorted into phases, and the number that says which commit of its session it is. */
export type Job = {
  readonly units: readonly Unit[]
  readonly sync: Sync
  readonly phases: readonly Phase[]
  readonly seq: number
}

/** A statement of a job and what its answer means. */
export type Part = {
  readonly statement: Statement
  /** It asks for a relaxed commit itself. */
  readonly relaxes: boolean
  answered(rows: readonly Row[]): void
}

/** The statements of a job, in order. */
export function statements(session: string, job: Job, answers: Answers, now: number): readonly Part[] {
  const relaxed = job.sync === 'relaxed'
  const parts: Part[] = []
  for (const { batches, advances, general } of job.phases) {
    // Topics in one order everywhere: two commits that wait for each other are one of the two in vain.
    for (const batch of batches.toSorted((a, b) => a.topic - b.topic)) {
      parts.push({
        statement: appending(batch),
        relaxes: false,
        answered: ([row]) => answers.appended(batch, row![0] as number[], row![1] as (number | null)[] | null),
      })
    }
    if (advances.length > 0) {
      parts.push({
        statement: advancing(advances, relaxed),
        relaxes: true,
        answered: ([row]) => advances.forEach((a, i) => answers.advanced(a, (row![0] as boolean[])[i]!)),
      })
    }
    if (general.length > 0) {
      parts.push({
        statement: others(general, session, job.seq, relaxed, now),
        relaxes: true,
        answered: ([row]) => answers.general(general, row![0] as JsonOutcome[]),
      })
    }
  }
  return parts
}

function appending(batch: Batch): Statement {
  const { sent, checked } = batch
  const entries = sent.map((s) => s.entry)
  return {
    name: `append ${batch.topic}`,
    text: `select base, known from fl_log_${batch.topic}_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    values: [
      int4Array(entries.map((e) => e.slot)),
      int4Array(sent.map((s) => s.rank)),
      int8Array(batch.counts),
      int8Array(entries.map((e) => e.time)),
      textArray(entries.map((e) => e.id)),
      textArray(entries.map((e) => e.key)),
      textArray(entries.map((e) => e.meta)),
      textArray(entries.map((e) => (typeof e.body === 'string' ? e.body : null))),
      byteaArray(entries.map((e) => (typeof e.body === 'string' ? null : e.body))),
      batch.window,
      checked.size === 0 ? null : int8Array(entries.map(hashOf)),
      checked.size,
    ],
  }
}

function advancing(advances: readonly Advance[], relaxed: boolean): Statement {
  const cursors = advances.map((a) => settledCursor(a.write))
  return {
    name: 'advance',
    text: 'select fl_advance($1, $2, $3, $4, $5, $6, $7)',
    values: [
      textArray(advances.map((a) => a.lease.name)),
      int8Array(advances.map((a) => a.lease.epoch)),
      int4Array(advances.map((a) => a.write.subscription)),
      int4Array(advances.map((a) => a.write.partition)),
      int8Array(cursors.map((c) => c.low)),
      textArray(cursors.map((c) => c.done)),
      relaxed,
    ],
  }
}

function others(general: readonly General[], session: string, seq: number, relaxed: boolean, now: number): Statement {
  return {
    name: 'commit',
    text: 'select fl_commit($1, $2, $3, $4, false)',
    values: [session, seq, escapedJson(general.map((g) => unitJson(g.unit, now))), relaxed],
  }
}
