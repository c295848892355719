import { Buffer } from 'node:buffer'
import { codes } from '#kernel/codes.ts'
import type { HttpRequest, HttpResponse } from '#kernel/http.ts'
import { parsePosition, printPosition } from '#kernel/message.ts'
import { mask } from '#kernel/redact.ts'
import { shownBody } from '#patterns/connections/records/mask-body.ts'
import type { Masking } from '#patterns/connections/records/masking.ts'
import { shownPath, type CallRecord } from '#patterns/connections/records/record.ts'
import type { OperationDeps } from '../operations/deps.ts'
import type { Range } from '../operations/log-range.ts'

const page = 500

/** The calls on record that were made while the messages of a range were handled, by position, oldest first. */
export class FirstCalls {
  readonly #of = new Map<string, CallRecord[]>()
  /** Of what was called before this time there may be no record any more. */
  readonly since: number

  private constructor(since: number) {
    this.since = since
  }

  static async read(
    deps: OperationDeps,
    topic: string,
    ranges: readonly Range[],
    earliest: number,
  ): Promise<FirstCalls> {
    await deps.journal.calls.flush()
    const found: CallRecord[] = []
    let before = Number.MAX_SAFE_INTEGER
    let oldest = Number.NEGATIVE_INFINITY
    for (;;) {
      const rows = await deps.runtime.store.read({ read: 'calls', before, limit: page })
      for (const row of rows) {
        if (row.damage !== undefined) continue
        const record = JSON.parse(row.record) as CallRecord
        const at = record.message === undefined ? undefined : parsePosition(record.message)
        const inside = ranges.some((r) => r.partition === at?.partition && at.offset >= r.from && at.offset < r.below)
        if (at?.topic === topic && inside) found.push(record)
      }
      const last = rows.at(-1)
      if (last !== undefined) {
        before = last.id
        oldest = last.time
      }
      if (rows.length < page || oldest < earliest) break
    }
    const calls = new FirstCalls(oldest)
    for (const record of found.reverse()) {
      const of = calls.#of.get(record.message!)
      if (of) of.push(record)
      else calls.#of.set(record.message!, [record])
    }
    return calls
  }

  at(topic: string, partition: number, offset: number): readonly CallRecord[] {
    return this.#of.get(printPosition({ topic, partition, offset })) ?? []
  }
}

/** Whether a call may have had an effect: it was answered, or nobody knows. */
export function mayHaveHappened({ outcome }: CallRecord): boolean {
  return (
    outcome === 'ok' || (Object.hasOwn(codes, outcome) && codes[outcome as keyof typeof codes].kind === 'ambiguous')
  )
}

/** Whether both say the same, as far as records show it: parameters of the query are masked, so they are not compared. */
export function sameRequest(a: CallRecord, b: CallRecord): boolean {
  return a.method === b.method && plainPath(a.path) === plainPath(b.path) && a.request.body === b.request.body
}

/** Whether the record is one of a request like this. */
export function isLike(
  record: CallRecord,
  request: Pick<HttpRequest, 'method' | 'path' | 'headers' | 'body'>,
  shape: string,
  masking: Masking,
): boolean {
  const { body } = request
  const size = typeof body === 'string' ? body.length : (body?.byteLength ?? 0)
  const shown =
    body === undefined || size === 0 ? undefined : shownBody(body, request.headers['content-type'] ?? '', size, masking)
  return (
    record.method === request.method &&
    plainPath(record.path) === plainPath(shownPath(request.path, shape, masking)) &&
    record.request.body === shown
  )
}

/** The answer on record as it came; undefined when there was none, or it is not whole: masked, cut, or not text. */
export function answerOf({ status, response }: CallRecord): HttpResponse | undefined {
  if (status === undefined || response === undefined) return undefined
  const { body = '', headers } = response
  if (body.includes(mask) || /… \(\d+ bytes\)$/.test(body) || /^\[\d+ bytes\]$/.test(body)) return undefined
  const { 'content-length': _length, ...kept } = headers
  return { status, headers: kept, body: new Uint8Array(Buffer.from(body, 'utf8')), phases: { total: 0 } }
}

function plainPath(path: string): string {
  return path.split('?', 1)[0]!
}
