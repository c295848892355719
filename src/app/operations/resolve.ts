import { fault, isFault } from '#kernel/fault.ts'
import type { Json } from '#kernel/json.ts'
import { parse } from '#kernel/schema.ts'
import { operationOf, type Intent } from '#patterns/connections/intents/intent.ts'
import { audit, reasonOf, type OperationDeps } from './deps.ts'
import { openIntent, specOf, type FoundIntent } from './unresolved.ts'

export type Resolve = {
  /** What a person has found out, by asking the other side. */
  readonly happened: boolean
  /** Of a call that happened: what it was answered. Needed where the operation has an output schema, and must fit it. */
  readonly answer?: Json
  /** Kept in the audit trail (500 characters). */
  readonly reason: string
}

/**
 * Decides whether a call has happened, where nobody but a person could find out. Happened: whoever makes the same call again
 * (its message, when it is replayed; a caller with the same key) gets `answer` without sending anything. Not happened: it is
 * sent again then. Nothing is sent or replayed by this itself.
 *
 * Rejects with `intent.missing`; `intent.state` while it may be on its way, when it is known already, or when the
 * answer does not fit; `journal.conflict` when it changed meanwhile.
 */
export async function resolve(deps: OperationDeps, name: string, how: Resolve): Promise<void> {
  const found = await openIntent(deps, name)
  const { happened, answer } = how
  const output = happened ? specOf(deps, name)?.output : undefined
  if (output !== undefined) {
    try {
      await parse(output, answer)
    } catch (cause) {
      if (!isFault(cause, 'schema.invalid')) throw cause
      const message = `the answer does not fit the output of the operation: ${cause.message}`
      throw fault('intent.state', { message, detail: { intent: name, ...cause.detail } })
    }
  }
  const kept = answer === undefined ? '' : JSON.stringify(answer)
  await decide(deps, found, happened ? { outcome: 'happened', answer: kept } : { outcome: 'nothing' }, {
    by_verify: false,
    reason: reasonOf(how.reason),
  })
}

/**
 * Asks the operation's `verify` whether the call has happened, and decides accordingly. Rejects as `resolve` does, with
 * `intent.state` where there is nothing to ask, and with the fault of the asking: then nothing is decided.
 */
export async function resolveByVerify(deps: OperationDeps, name: string): Promise<'happened' | 'nothing'> {
  const found = await openIntent(deps, name)
  const { connection, operation } = operationOf(name)
  const { input } = found.intent
  const open = deps.connections.get(connection)
  if (!open || input === undefined || specOf(deps, name)?.verify === undefined) {
    throw fault('intent.state', { message: 'it has no verify that can be asked', detail: { intent: name } })
  }
  const outcome = (await open.verify(operation, JSON.parse(input))) ? 'happened' : 'nothing'
  await decide(deps, found, { outcome }, { by_verify: true })
  return outcome
}

async function decide(
  deps: OperationDeps,
  { name, version, intent }: FoundIntent,
  how: Pick<Intent, 'outcome' | 'answer'>,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  // What it was asked about has been decided: input and line are not needed any more.
  const { line: _line, input: _input, ...kept } = intent
  await deps.journal.intents.decide(
    name,
    version,
    { value: JSON.stringify({ ...kept, ...how }), open: false, listed: true, list: false },
    [
      audit(deps, 'resolve', `call/${name}`, {
        happened: how.outcome === 'happened',
        ...(intent.message === undefined ? {} : { message: intent.message }),
        ...detail,
      }),
    ],
  )
}
