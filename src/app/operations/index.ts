import type { Json } from '#kernel/json.ts'
import type { Link } from '#patterns/connections/auth/oauth/authorization.ts'
import { authorize } from './authorize.ts'
import { closeBreaker, isolate } from './breaker.ts'
import { calls, type CallQuery } from './calls.ts'
import { callRecord, type NumberedCall } from './call-record.ts'
import type { OperationDeps } from './deps.ts'
import { diffCalls, type CallsCompared } from './diff-calls.ts'
import { discard } from './discard.ts'
import type { DriveOptions } from './drive.ts'
import { acceptDrift, drifts, type DriftQuery, type StoredDrift } from './drift.ts'
import { endings, type ShownEnding } from './endings.ts'
import { explain, type Explained } from './explain.ts'
import { exportParked, type ExportParked } from './export-parked.ts'
import { importParked, type Imported, type ImportParked } from './import-parked.ts'
import { messages, type ShownMessage } from './messages.ts'
import { parked, type ParkedMessage, type ParkedQuery } from './parked.ts'
import { pause, resume, type PauseTarget } from './pause.ts'
import { purge, type Purge, type Purged } from './purge.ts'
import { redrive, type Redrive, type Redriven } from './redrive.ts'
import { resend, type Resend, type Resent } from './resend.ts'
import { rehearse, type Rehearse, type Rehearsed } from './rehearse.ts'
import { resolve, resolveByVerify, type Resolve } from './resolve.ts'
import { editAndReplay, replay } from './replay.ts'
import { cancelReplay, replayTopic, resumeReplay, type ReplayTopic, type TopicReplayed } from './replay-topic.ts'
import { scopes, type ScopeReport } from './scopes.ts'
import { status, type Status } from './status.ts'
import { trail, type TrailEntry } from './trail.ts'
import { topics, type TopicStatus } from './topics.ts'
import { unresolved, type UnresolvedCall } from './unresolved.ts'

/** What an operator can do: the one list behind the command line and the console. Changes leave an audit entry. */
export interface Operations {
  /** The same, with another name in the audit entries. Default: host and process. */
  as(by: string): Operations
  status(): Promise<Status>
  topics(): Promise<readonly TopicStatus[]>
  messages(query: {
    readonly topic: string
    readonly limit?: number
    readonly position?: string
  }): Promise<readonly ShownMessage[]>
  parked(query?: ParkedQuery): Promise<readonly ParkedMessage[]>
  replay(parked: number): Promise<void>
  redrive(query: Redrive): Promise<Redriven>
  replayTopic(query: ReplayTopic): Promise<TopicReplayed>
  resumeReplay(subscription: string, options?: DriveOptions): Promise<TopicReplayed>
  cancelReplay(subscription: string): Promise<void>
  editAndReplay(parked: number, data: Json): Promise<void>
  discard(parked: number, reason: string): Promise<void>
  rehearse(query: Rehearse): Promise<Rehearsed>
  purge(query: Purge): Promise<Purged>
  exportParked(query: ExportParked): AsyncIterable<string>
  importParked(lines: AsyncIterable<string> | Iterable<string>, options?: ImportParked): Promise<Imported>
  pause(what: string | PauseTarget, options?: { readonly reason?: string }): Promise<void>
  resume(what: string | PauseTarget): Promise<void>
  isolate(connection: string, options?: { readonly reason?: string }): Promise<void>
  closeBreaker(connection: string, options?: { readonly reason?: string }): Promise<void>
  drifts(query?: DriftQuery): Promise<readonly StoredDrift[]>
  acceptDrift(id: string, options?: { readonly reason?: string }): Promise<void>
  endings(): Promise<readonly ShownEnding[]>
  trail(limit?: number): Promise<readonly TrailEntry[]>
  calls(query?: CallQuery): Promise<readonly NumberedCall[]>
  call(call: number): Promise<NumberedCall>
  diffCalls(call: number, other?: number): Promise<CallsCompared>
  resend(query: Resend): Promise<Resent>
  /** A link by which a person authorises a connection, once. */
  authorize(connection: string): Promise<Link>
  /** Scopes asked for against scopes used. */
  scopes(): Promise<readonly ScopeReport[]>
  unresolved(query?: { readonly limit?: number }): Promise<readonly UnresolvedCall[]>
  resolve(intent: string, how: Resolve): Promise<void>
  resolveByVerify(intent: string): Promise<'happened' | 'nothing'>
  explain(code: string): Explained
}

export function operations(deps: OperationDeps): Operations {
  return {
    status: () => status(deps),
    topics: () => topics(deps),
    messages: (query) => messages(deps, query),
    parked: (query) => parked(deps, query),
    replay: (id) => replay(deps, id),
    redrive: (query) => redrive(deps, query),
    replayTopic: (query) => replayTopic(deps, query),
    resumeReplay: (subscription, options) => resumeReplay(deps, subscription, options),
    cancelReplay: (subscription) => cancelReplay(deps, subscription),
    editAndReplay: (id, data) => editAndReplay(deps, id, data),
    discard: (id, reason) => discard(deps, id, reason),
    rehearse: (query) => rehearse(deps, query),
    purge: (query) => purge(deps, query),
    exportParked: (query) => exportParked(deps, query),
    importParked: (lines, options) => importParked(deps, lines, options),
    pause: (what, options) => pause(deps, what, options),
    resume: (what) => resume(deps, what),
    isolate: (connection, options) => isolate(deps, connection, options),
    closeBreaker: (connection, options) => closeBreaker(deps, connection, options),
    drifts: (query) => drifts(deps, query),
    acceptDrift: (id, options) => acceptDrift(deps, id, options),
    endings: () => endings(deps),
    trail: (limit) => trail(deps, limit),
    as: (by) => operations({ ...deps, by }),
    unresolved: (query) => unresolved(deps, query),
    resolve: (intent, how) => resolve(deps, intent, how),
    resolveByVerify: (intent) => resolveByVerify(deps, intent),
    calls: (query) => calls(deps, query),
    call: (call) => callRecord(deps, call),
    diffCalls: (call, other) => diffCalls(deps, call, other),
    resend: (query) => resend(deps, query),
    authorize: (connection) => authorize(deps, connection),
    scopes: () => scopes(deps),
    explain,
  }
}
