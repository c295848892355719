import { fault } from '#kernel/fault.ts'
import { operationOf, type Intent } from '#patterns/connections/intents/intent.ts'
import { shownBody } from '#patterns/connections/records/mask-body.ts'
import { masking } from '#patterns/connections/records/masking.ts'
import { operationMasking } from '#patterns/connections/records/options.ts'
import { shownPath } from '#patterns/connections/records/record.ts'
import { parseTemplate, pathShape } from '#patterns/connections/template.ts'
import { operationsOf, type OperationSpec } from '#patterns/connections/define.ts'
import type { OperationDeps } from './deps.ts'

/** A call of which nobody knows whether it happened, or that is under way this moment. Masked. */
export type UnresolvedCall = {
  /** Its name for `resolve`: `connection/operation/key`. */
  readonly intent: string
  readonly connection: string
  readonly operation: string
  /** RFC 3339: when it was first begun. */
  readonly since: string
  /** `running`: it may still be on its way, until the time in `until`. `open`: somebody has to find out. */
  readonly state: 'running' | 'open'
  /** RFC 3339. */
  readonly until: string
  /** How often it was begun. */
  readonly begun: number
  /** The fault that it ended with; absent when its process ended first. */
  readonly code?: string
  /** Position of the message whose handling made it: `fairlead dead` has it. Absent: `app.call`. */
  readonly message?: string
  readonly correlation?: string
  /** `POST /charges` and the input; absent when it was too long to be kept. */
  readonly sent?: string
  readonly input?: string
  /** Whether its operation declares a `verify` that can be asked. */
  readonly verify: boolean
}

/** An intent as it stands in the store. */
export type FoundIntent = { readonly name: string; readonly version: number; readonly intent: Intent }

/**
 * Calls that somebody has to decide about, oldest name first, default 100, at most 1,000: what `app.call` sent before its
 * process ended or its answer was lost, and calls of messages that have neither key nor `verify`.
 */
export async function unresolved(
  deps: OperationDeps,
  { limit = 100 }: { readonly limit?: number } = {},
): Promise<readonly UnresolvedCall[]> {
  const shown: UnresolvedCall[] = []
  for (const name of (await deps.journal.intents.list()).slice(0, Math.min(limit, 1_000))) {
    const found = await findIntent(deps, name)
    if (found && isOpen(found.intent)) shown.push(show(deps, found))
  }
  return shown
}

export async function findIntent(deps: OperationDeps, name: string): Promise<FoundIntent | undefined> {
  const row = await deps.journal.intents.find(name)
  return row === null ? undefined : { name, version: row.version, intent: JSON.parse(row.value) as Intent }
}

/** The intent, if it may be decided now. Throws `intent.missing` or `intent.state`. */
export async function openIntent(deps: OperationDeps, name: string): Promise<FoundIntent> {
  const found = await findIntent(deps, name)
  if (!found) throw fault('intent.missing', { detail: { intent: name } })
  const { outcome, until } = found.intent
  const state = (message: string) => fault('intent.state', { message, detail: { intent: name } })
  if (!isOpen(found.intent)) throw state(`it is known already: ${outcome}`)
  if (isRunning(deps, found.intent)) throw state(`it may still be on its way, until ${new Date(until).toISOString()}`)
  return found
}

/** The operation's declaration; undefined when these definitions have none of that name. */
export function specOf(deps: OperationDeps, name: string): OperationSpec | undefined {
  return declared(deps, name)?.spec
}

function declared(deps: OperationDeps, name: string) {
  const { connection, operation } = operationOf(name)
  const definition = deps.definitions.connections.get(connection)
  const spec = definition && operationsOf(definition).find((o) => o.name === operation)?.spec
  return spec && { spec, options: definition.options }
}

function isOpen({ outcome }: Intent): boolean {
  return outcome === undefined || outcome === 'unknown'
}

function isRunning(deps: OperationDeps, { outcome, until }: Intent): boolean {
  return outcome === undefined && until > deps.runtime.clock.now()
}

function show(deps: OperationDeps, { name, intent }: FoundIntent): UnresolvedCall {
  const { redact } = deps.runtime
  const { line, input, message, correlation, code } = intent
  const known = declared(deps, name)
  const hidden = known ? operationMasking(known.options, known.spec, redact) : masking({ redact, personal: undefined })
  const template = parseTemplate(known?.spec.http)
  const shape = 'problem' in template ? '' : pathShape(template)
  const at = line === undefined ? -1 : line.indexOf(' ')
  return {
    intent: name,
    ...operationOf(name),
    since: new Date(intent.at).toISOString(),
    state: isRunning(deps, intent) ? 'running' : 'open',
    until: new Date(intent.until).toISOString(),
    begun: intent.begun,
    ...(code === undefined ? {} : { code }),
    ...(message === undefined ? {} : { message: hidden.text(message) }),
    ...(correlation === undefined ? {} : { correlation: hidden.text(correlation) }),
    ...(line === undefined ? {} : { sent: `${line.slice(0, at)} ${shownPath(line.slice(at + 1), shape, hidden)}` }),
    ...(input === undefined ? {} : { input: shownBody(input, 'application/json', input.length, hidden) }),
    verify: input !== undefined && known?.spec.verify !== undefined,
  }
}
