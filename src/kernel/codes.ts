/**
 * The catalogue of faults. A code is stable and dotted; its row says what the engine does next (`kind`), what an HTTP
 * caller sees (`status`) and what a person should do (`help`). A new throw needs a row here: `fairlead explain <code>`
 * and the documentation are printed from this table.
 */
export type FaultKind =
  | 'transient' // retried with backoff
  | 'throttled' // waits as told, then retried; the whole connection cools down
  | 'ambiguous' // it may have happened: verified, or repeated only under the same idempotency key
  | 'credential' // refreshed once; if that fails the work is held and the owner asked
  | 'conflict' // reloaded and decided again
  | 'rejected' // stopped by a rule; a person decides
  | 'invalid' // their input: answered with problem+json, or parked
  | 'config' // refused at start-up, all problems at once
  | 'cancelled' // not a failure
  | 'bug' // ours: parked, never swallowed

export type CodeRow = { readonly kind: FaultKind; readonly status: number; readonly help: string }

const row = (kind: FaultKind, status: number, help: string): CodeRow => ({ kind, status, help })

export const codes = {
  // definitions and start-up
  'config.invalid': row(
    'config',
    500,
    'One or more definitions are wrong. Each problem names its path and the fix; nothing was started.',
  ),
  'config.option': row(
    'config',
    500,
    'An option is unknown, contradictory or out of range. Remove it or correct its value.',
  ),
  'config.duplicate': row(
    'config',
    500,
    'Two definitions share a name. Names are durable addresses: rename one of them.',
  ),
  'config.missing': row('config', 500, 'A definition refers to another that was not passed in `use`. Add it to `use`.'),
  'config.duration': row(
    'config',
    500,
    "A duration is written as a number and a unit: '250ms', '30s', '5m', '2h', '7d'.",
  ),
  'config.secret': row('config', 500, 'A secret cannot be read. Set the environment variable or file that it names.'),
  'config.port': row('config', 500, 'The port is taken or not allowed. Stop the other program or pass another --port.'),
  'config.module': row(
    'config',
    500,
    'The file with your definitions cannot be loaded. Correct the path or the error in it.',
  ),

  'secret.unavailable': row(
    'transient',
    503,
    'The source of secrets cannot be asked, and no value that was read earlier is young enough. It is tried again; check the source, its address and what unlocks it.',
  ),

  // schema and input
  'schema.invalid': row(
    'invalid',
    422,
    'The data does not fit the schema. `issues` names each path; correct the sender or the schema.',
  ),
  'input.json': row('invalid', 400, 'The body is not valid JSON (RFC 8259) in UTF-8. Correct the sender.'),
  'input.too_large': row(
    'invalid',
    413,
    'The body is larger than the limit. Send less, or raise the limit of this definition.',
  ),
  'input.form': row(
    'invalid',
    400,
    'The body is not a valid form (application/x-www-form-urlencoded) in UTF-8. Correct the sender.',
  ),
  'input.malformed': row('invalid', 400, 'The request is not valid HTTP/1.1 (RFC 9112). Correct the sender.'),
  'input.headers': row('invalid', 431, 'There are more or longer header fields than the limit (100 fields, 16 KiB).'),
  'input.truncated': row('invalid', 400, 'The body ended before its announced length. Send it again.'),
  'input.encoding': row(
    'invalid',
    415,
    'The content coding is not accepted here. Send the body without Content-Encoding.',
  ),
  'input.media_type': row('invalid', 415, 'The content type is not accepted here.'),
  'input.not_found': row('invalid', 404, 'Nothing is served at this path.'),
  'input.method': row('invalid', 405, 'The path exists, the method is not allowed on it. See the Allow header.'),
  'input.timeout': row('invalid', 408, 'The request did not arrive completely in time. Send it again.'),
  'input.prototype': row(
    'invalid',
    400,
    'The body contains a key that could reach a prototype (__proto__). Remove it.',
  ),
  'input.forbidden': row('invalid', 403, 'This operation is not allowed for this caller.'),

  // webhooks in
  'webhook.signature': row(
    'invalid',
    400,
    'The signature does not match the raw body under any configured secret. Check the secret and that nothing re-encodes the body.',
  ),
  'webhook.stale': row(
    'invalid',
    400,
    'The timestamp is further than the tolerance from our clock. Check both clocks; a replayed request also looks like this.',
  ),
  'webhook.header': row('invalid', 400, 'A header that the signature scheme requires is missing or malformed.'),
  'webhook.event': row('invalid', 400, 'The body has no event id or type where this webhook expects one.'),
  'webhook.refused': row(
    'invalid',
    400,
    'The delivery was refused. Why is counted, not told: signature, timestamp, header and unknown type look alike to a stranger.',
  ),
  'webhook.unauthorized': row(
    'invalid',
    401,
    'The delivery was refused, with the status that this provider demands for it. Why is counted, not told.',
  ),
  'webhook.slow': row(
    'transient',
    503,
    'The delivery was not confirmed as stored within 5 s. Send it again: if it was stored, its id drops the repeat.',
  ),
  'webhook.unrouted': row(
    'rejected',
    422,
    'No topic is declared for this event type. Add it to `deliver`, or set `otherwise` to store or ignore.',
  ),

  // the journal and its store
  'store.open': row(
    'config',
    500,
    'The store cannot be opened. Check that the path exists, is writable and is not a directory.',
  ),
  'store.corrupt': row(
    'config',
    500,
    'The store file is damaged. Restore a backup, or run `.recover` of the sqlite3 shell on a copy; nothing was written.',
  ),
  'store.newer': row(
    'config',
    500,
    'The store was written by a newer version. Run that version or newer; nothing was changed.',
  ),
  'store.foreign': row(
    'config',
    500,
    'The file is a database of another program. Choose another path; nothing was changed.',
  ),
  'store.readonly': row(
    'transient',
    503,
    'The store cannot be written. Check the rights of file and folder and that the disk is mounted writable.',
  ),
  'store.full': row(
    'transient',
    503,
    'The disk is full. Free some space: new work is refused until then, accepted work is safe.',
  ),
  'store.busy': row('transient', 503, 'Another process held the write lock longer than the limit. It is retried.'),
  'store.broken': row(
    'transient',
    503,
    'A write could not be confirmed on disk. The store is closed and must be reopened; unconfirmed work was not acknowledged.',
  ),
  'store.unreachable': row(
    'transient',
    503,
    'The database cannot be reached, or is not the writable one. Nothing was applied. It is tried again; check the server, the address and the network.',
  ),
  'store.unanswered': row(
    'transient',
    503,
    'The connection to the database was lost before its answer came, and could not be had again in time to ask. It may have been applied.',
  ),
  'store.rights': row(
    'config',
    500,
    'The role may not do what the store needs: connect, create its schema and tables there, read and write them. Grant it, or make the schema its own.',
  ),
  'store.altered': row(
    'config',
    500,
    'Tables, indexes or functions of the store are not as its migrations made them. The differences are listed; undo them, nothing was changed.',
  ),
  'store.closed': row('cancelled', 503, 'The store is closed: the app is stopping.'),
  'store.sql': row(
    'bug',
    500,
    'A statement of yours failed. The cause holds the message of the database; the transaction was rolled back.',
  ),
  'store.transaction': row(
    'bug',
    500,
    'A transaction ran longer than its limit, or a call left the process inside it. Call first, then write.',
  ),
  'journal.full': row(
    'throttled',
    503,
    'More is waiting to be written than the limit allows. Slow down; it is accepted again when the backlog has gone.',
  ),
  'journal.too_large': row(
    'invalid',
    413,
    'The message is larger than the inline limit (1 MiB). Store the payload elsewhere and send a reference.',
  ),
  'journal.fenced': row(
    'cancelled',
    409,
    'This worker lost its lease: another one owns the partition. Its late commit was refused.',
  ),
  'journal.missing': row('invalid', 404, 'No such message: retention removed it, or the position never existed.'),
  'journal.conflict': row('conflict', 409, 'The key changed since it was read. Read it again and decide again.'),

  // topics and subscriptions
  'topic.unknown': row('invalid', 404, 'There is no topic of this name in the running definitions.'),
  'subscription.unknown': row('invalid', 404, 'There is no subscription of this name in the running definitions.'),
  'subscription.timeout': row(
    'ambiguous',
    504,
    'The handler did not end within its time limit. Its effects may have happened.',
  ),
  'subscription.crashed': row(
    'ambiguous',
    503,
    'A run was begun and its end never written down: it runs just now, or its process ended, or lost the partition, in it. Its effects may have happened. It is tried again alone, and is dead when its attempts are spent.',
  ),
  'subscription.thrown': row(
    'transient',
    500,
    'The handler threw something that is not a Fault. It is retried within its bounds, then parked.',
  ),
  'subscription.result': row('bug', 500, 'handleBatch must return nothing, or one result per message it was given.'),
  'subscription.undone': row(
    'transient',
    503,
    'Another message of the batch failed, so what the batch had written through ctx.tx was rolled back. It is tried again.',
  ),
  'subscription.moved': row(
    'config',
    500,
    'In this store the subscription reads another topic: its cursors and parked messages belong to that one. Give it a new name, or the old topic.',
  ),
  'message.damaged': row(
    'rejected',
    409,
    'The message is not as it was written: bits of the store have changed, or it is gone. No handler has seen it. Read what is left of it, then edit and replay it with its right data, or discard it.',
  ),
  'parked.state': row('invalid', 409, 'The parked message is not in a state that allows this.'),

  'import.line': row(
    'invalid',
    422,
    'The line is not a parked message of an export, or does not fit this store. Nothing of it was imported; the others were.',
  ),
  'import.masked': row(
    'invalid',
    422,
    'The message was exported with its data masked, so it cannot be handled. Export it again, raw.',
  ),
  'import.occupied': row(
    'conflict',
    409,
    'Another message is parked at this place. Both stay what they are; decide about that one first.',
  ),
  'cassette.missing': row(
    'config',
    500,
    'There is no recording at this path. Make one: FAIRLEAD_CASSETTES=record, with the secrets of the real API.',
  ),
  'cassette.expired': row(
    'config',
    500,
    'The recording is older than it may be. Record it again (FAIRLEAD_CASSETTES=record), or see what has changed (FAIRLEAD_CASSETTES=compare).',
  ),
  'cassette.file': row('config', 500, 'The file is not a recording that can be read. Record it again.'),
  'cassette.unmatched': row(
    'rejected',
    500,
    'The recording has no such request left. If the request is right, record again; name fields that differ each time in `volatile`.',
  ),
  'cassette.changed': row(
    'rejected',
    500,
    'What they answer is not what was recorded. Look at the changes, then record again.',
  ),
  'call.incomplete': row(
    'invalid',
    409,
    'The record of the call does not hold all that was sent: part of it is masked or cut. Give the input, or replay its message.',
  ),
  'call.settled': row(
    'conflict',
    409,
    'The call has happened, or may have, and sending it once more may have its effect twice. Look at their side first; then say that it is to be sent again.',
  ),
  'rehearsal.unanswered': row(
    'rejected',
    502,
    'In a rehearsal nothing is sent, and no whole answer of the first run is on record. What the handler would do next is not known.',
  ),
  'replay.state': row(
    'invalid',
    409,
    'A replay of this subscription is under way, or none is. Resume or cancel the one that is, or begin one.',
  ),

  // connections
  'connection.unreachable': row('transient', 502, 'No connection could be made (refused, DNS, TLS): nothing was sent.'),
  'connection.tls': row('transient', 502, 'The TLS handshake failed: certificate, name or version. Nothing was sent.'),
  'connection.target': row(
    'rejected',
    422,
    'An address that comes from data leads to a host that is not public, or is not one of http or https in its usual spelling. Nothing was sent, and no connection was made.',
  ),
  'connection.cut': row('ambiguous', 502, 'The connection ended after the request was sent: it may have happened.'),
  'connection.timeout': row('ambiguous', 504, 'No complete answer within the time limit: it may have happened.'),
  'connection.deadline': row(
    'transient',
    504,
    'The deadline had passed before the request was sent. Nothing was sent.',
  ),
  'connection.throttled': row('throttled', 429, 'They asked us to slow down. The whole connection waits as told.'),
  'connection.unavailable': row(
    'transient',
    503,
    'They answered that they cannot serve now (408, 425, 502, 503, 504).',
  ),
  'connection.failed': row('ambiguous', 502, 'They answered 500: it may have happened.'),
  'connection.credential': row(
    'credential',
    502,
    'They refused our credential (401). Work is held until it is renewed.',
  ),
  'connection.token': row(
    'credential',
    502,
    'No access token could be had: the authorization server does not answer, or not as OAuth 2.0 says. Nothing was sent; work is held and it is tried again.',
  ),
  'connection.unauthorized': row(
    'credential',
    502,
    'The authorization server refuses us, or nobody has authorised the connection. Work is held. `detail.error` is its word: after invalid_grant or not_authorized run `fairlead authorize <connection>`, else correct client id, secret or scopes.',
  ),
  'connection.forbidden': row(
    'rejected',
    502,
    'They refused this action (403). Check scopes and rights of the credential.',
  ),
  'connection.not_found': row('rejected', 502, 'They do not know what was asked for (404, 410).'),
  'connection.conflict': row('conflict', 409, 'They see a conflict (409, 412). Read again and decide again.'),
  'connection.rejected': row('rejected', 502, 'They refused the request (4xx). Repeating it unchanged will not help.'),
  'connection.redirect': row(
    'rejected',
    502,
    'They answered with a redirect, which is not followed: credentials stay with the origin they are for. Correct the baseUrl.',
  ),
  'connection.response': row(
    'ambiguous',
    502,
    'Their answer could not be read (truncated, too large, not JSON, not the declared shape).',
  ),
  'connection.breaker_open': row(
    'transient',
    503,
    'The breaker is open after repeated failures; nothing was sent. Work is held until it closes.',
  ),
  'connection.overloaded': row(
    'throttled',
    503,
    'More calls wait for this connection than its bulkhead allows. Nothing was sent.',
  ),
  'connection.limited': row(
    'throttled',
    429,
    'Our own limit for this connection is spent and the wait does not fit the deadline. Nothing was sent.',
  ),
  'connection.unverified': row(
    'ambiguous',
    502,
    'The call may have happened, it has no idempotency key and no `verify`: a person finds out and decides, `fairlead resolve`.',
  ),
  'connection.underway': row(
    'conflict',
    409,
    'The same call was begun before and may still be on its way: its process runs, or ended a moment ago. Nothing was sent; it is tried again when the first must have ended.',
  ),
  'connection.key_reused': row(
    'rejected',
    422,
    'Under this idempotency key something else was sent before, and it may have happened. Nothing was sent. Give a correction a key of its own, or decide about the first: `fairlead unresolved`.',
  ),
  'connection.pages': row(
    'rejected',
    502,
    'A list did not come to an end in order (a cursor or page came twice, too many pages, a next page on another origin), or a walk cannot go on from the mark it was given. What was read so far is not the whole list.',
  ),
  'connection.poll': row(
    'invalid',
    400,
    'It cannot be polled so: the operation may change something, the intervals are not in order (1s ≤ least ≤ every ≤ most ≤ 30d), or `since` is of another operation or input.',
  ),
  'connection.later': row(
    'config',
    500,
    'The connection is not defined to make calls later. Give it `later: true`, or call now.',
  ),
  'intent.missing': row('invalid', 404, 'There is no such intent: it was decided, it expired, or it never was.'),
  'intent.state': row(
    'invalid',
    409,
    'The intent cannot be decided so: it is under way, decided already, or its answer does not fit the operation.',
  ),
  'connection.operation': row('invalid', 404, 'There is no such operation on this connection.'),

  // resilience on its own
  'resilience.timeout': row('ambiguous', 504, 'The work did not end within its time limit.'),
  'resilience.deadline': row('transient', 504, 'The deadline had passed before the work was started.'),
  'resilience.breaker_open': row('transient', 503, 'The breaker is open: the work was not started.'),
  'resilience.bulkhead_full': row('throttled', 503, 'Too much is running and waiting: the work was not started.'),
  'resilience.limited': row(
    'throttled',
    429,
    'The limit is spent and the wait does not fit: the work was not started.',
  ),

  // mappings
  'mapping.document': row('config', 500, 'The mapping document is wrong. Each problem names its line and the fix.'),
  'mapping.unloaded': row(
    'config',
    500,
    'A mapping was called before its document was read. Pass it in `use`, or await loadMapping first.',
  ),
  'mapping.rejected': row(
    'invalid',
    422,
    'A record could not be mapped. `rejects` names field, value (masked), rule and reason.',
  ),

  // the command line
  'cli.usage': row('config', 500, 'The command line is wrong. See `fairlead <command> --help`; nothing was done.'),
  'cli.unconfirmed': row(
    'config',
    500,
    'The command destroys something and was not confirmed; nothing was done. Look at what it is about, then add --yes.',
  ),
  'cli.memory': row(
    'config',
    500,
    'The project has no store that outlives its process, so only the running app itself can see what it holds. Export `store` from the config.',
  ),
  'cli.exists': row('rejected', 409, 'A file would be overwritten; nothing was written. Choose an empty folder.'),
  'add.document': row(
    'config',
    500,
    'What was named is no OpenAPI document, or nothing can be made of it. Name the JSON or YAML of OpenAPI 3, or Swagger 2.0.',
  ),
  'add.reference': row(
    'config',
    500,
    'A `$ref` of the document cannot be followed. References to other documents are read with --allow-refs only.',
  ),
  'add.limit': row('config', 500, 'The document is larger than any real description. Cut it down to what is called.'),
  'add.choose': row('config', 500, 'There are many operations and none was chosen. Name some with --only or --tag.'),
  'add.edited': row(
    'rejected',
    409,
    'The file was changed by hand since it was written; nothing was written. Keep the changes elsewhere, then add --force.',
  ),
  'add.fetch': row(
    'transient',
    502,
    'The document could not be fetched. Check the address and the network, or save it to a file.',
  ),
  'cli.write': row('config', 500, 'The folder cannot be written. Check its rights and the free space of the disk.'),

  // flow of control
  'app.draining': row('cancelled', 503, 'The app is stopping and takes no new work. Send it again after Retry-After.'),
  'app.overloaded': row(
    'throttled',
    503,
    'More request bodies are held in memory than the limit. Send it again later.',
  ),
  'app.slow': row('ambiguous', 504, 'No reply was ready within the time limit of the server: it may have happened.'),
  'app.unknown': row('invalid', 404, 'There is no definition of this name in the running app.'),
  cancelled: row('cancelled', 499, 'The caller gave up.'),
  rejected: row('rejected', 422, 'A rule of yours said no. The code and detail are yours.'),
  bug: row('bug', 500, 'An internal assumption failed. Please report it with the detail.'),
} as const satisfies Record<string, CodeRow>

export type Code = keyof typeof codes
