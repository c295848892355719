import type { FellBack } from '#kernel/context.ts'
import { toFault } from '#kernel/fault.ts'
import type { CacheUse } from '../cache/visit.ts'
import type { CallOptions } from '../call.ts'
import type { Trail } from '../exchange.ts'
import type { Ready } from '../operation.ts'
import type { Shared } from '../run.ts'
import { EndedCall } from './record.ts'

type Of = {
  readonly id: string
  readonly ready: Ready
  readonly trail: Trail
  readonly options: CallOptions
}

type How = {
  /** The path came from them (paging). */
  readonly theirs: boolean
  /** `ok` or the code of the fault that it ended with. */
  readonly outcome: string
  readonly fellBack: FellBack | undefined
  readonly cache: CacheUse | undefined
}

/** Hands the record of a call over, if anything was sent and it is one that is kept. */
export function noteCall(shared: Shared, of: Of, { theirs, outcome, fellBack, cache }: How): void {
  const { id, ready, trail, options } = of
  const { deps, name, recorder } = shared
  const { started, key, attempts, sent, response } = trail
  if (!sent) return
  const keeps =
    attempts.length === 0
      ? cache !== undefined && recorder.keepsHit()
      : cache === 'stale' || recorder.keeps(outcome, attempts.length)
  if (!keeps) return
  const { clock, log } = deps.runtime
  const ms = clock.mono() - started
  try {
    deps.record(
      new EndedCall({
        id,
        time: clock.now() - ms,
        connection: name,
        operation: ready.name,
        method: sent.ready.method,
        path: sent.path,
        shape: sent.ready.shape,
        theirs,
        status: response?.status,
        outcome,
        fellBack,
        cache,
        attempts,
        ms,
        key,
        correlation: options.correlation,
        message: options.message,
        requestHeaders: sent.headers,
        requestBody: recorder.body(sent.body),
        responseHeaders: response?.headers,
        responseBody: response && recorder.body(response.body),
        recorder,
        spec: sent.ready.spec,
        signature: sent.signature,
      }),
    )
  } catch (error) {
    // The call has happened: its answer must not be lost because nobody could write it down.
    log.write('error', 'connection.record', { connection: name, fault: toFault(error, 'bug').message })
  }
}
