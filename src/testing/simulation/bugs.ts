/** A place in the source and what stands there instead. `file` is relative to `src/`. */
export type Edit = { readonly file: string; readonly from: string; readonly to: string }

export type PlantedBug = {
  readonly name: string
  /** What is broken, in the words of someone who would find it. */
  readonly about: string
  readonly edits: readonly Edit[]
}

const one = (name: string, about: string, file: string, from: string, to: string): PlantedBug => ({
  name,
  about,
  edits: [{ file, from, to }],
})

/**
 * Mistakes that somebody could make, each of which the simulation has to find. They are planted into the source as it is
 * loaded; a place that no longer reads as it says here fails a test: then write the mistake anew for the code as it is.
 */
export const bugs: readonly PlantedBug[] = [
  // the store
  one(
    'answers-before-the-sync',
    'a commit is answered before it is on disk',
    'adapters/stores/sqlite/index.ts',
    "if (sync === 'durable' && this.#sync) await this.#sync.durable()",
    "if (sync === 'durable' && this.#sync) void this.#sync.durable().catch(() => {})",
  ),
  one(
    'transaction-answers-before-the-sync',
    "a user's transaction is answered before it is on disk",
    'adapters/stores/sqlite/index.ts',
    '        if (this.#sync) await this.#sync.durable()',
    '        if (this.#sync) void this.#sync.durable().catch(() => {})',
  ),
  one(
    'reads-what-is-not-on-disk',
    "another process's messages are read before they are on disk",
    'adapters/stores/sqlite/index.ts',
    "query.read === 'heads') && this.#sync) await this.#sync.durable()",
    "query.read === 'heads') && this.#sync) void this.#sync.durable().catch(() => {})",
  ),
  one(
    'fence-let-down',
    'a former owner of a partition may still commit',
    'adapters/stores/sqlite/apply.ts',
    'fl_leases where name = ? and epoch = ? and worker is not null',
    'fl_leases where name = ? and epoch >= ?',
  ),
  one(
    'epoch-stands-still',
    'a lease changes hands under the same epoch',
    'adapters/stores/sqlite/apply.ts',
    'epoch = fl_leases.epoch + 1',
    'epoch = fl_leases.epoch',
  ),
  one(
    'repeated-id-not-known',
    'an id that is still in memory is not recognised',
    'adapters/stores/sqlite/seen.ts',
    'if (recent >= 0 && this.#recent.times[recent]! >= since) {',
    'if (recent >= 0 && this.#recent.times[recent]! < since) {',
  ),
  one(
    'ids-of-others-not-read',
    'ids that another process has appended meanwhile are not known',
    'adapters/stores/sqlite/heads.ts',
    '    this.seen.catchUp(behind)\n',
    '',
  ),
  one(
    'next-of-key-not-woken',
    'when a parked message is gone, the next of its key stays where it is',
    'adapters/stores/sqlite/apply.ts',
    "where state = 'behind' and row = (",
    "where state = 'dead' and row = (",
  ),
  one(
    'waits-for-one-that-has-gone',
    'a message is parked behind one that was taken away while it was on its way',
    'adapters/stores/sqlite/apply.ts',
    "first ? 'retry' : p.state",
    'first && false ? p.state : p.state',
  ),
  one(
    'delayed-ones-lost',
    'when a delayed message appears, those that came after it are forgotten',
    'adapters/stores/sqlite/apply.ts',
    'delete from fl_delayed where row = ?',
    'delete from fl_delayed where row >= ?',
  ),
  // the journal
  one(
    'append-is-relaxed',
    'messages are accepted without being synced',
    'journal/log.ts',
    "[{ write: 'append', entries }] }, 'durable'",
    "[{ write: 'append', entries }] }, 'relaxed'",
  ),
  one(
    'no-second-look',
    'after a commit without an answer nobody looks at what it has done',
    'journal/commit.ts',
    'if (unclear(e)) this.onUnclear()',
    'if (unclear(e)) return',
  ),
  one(
    'cursor-before-parking',
    'the cursor passes a failed message before it is parked',
    'journal/cursor.ts',
    '      await this.#of.commit([\n',
    '      await this.#of.commit([this.advance(parks.map((p) => p.offset))])\n      await this.#of.commit([\n',
  ),
  one(
    'mark-jumps-gaps',
    'the low-water mark passes messages that are not finished',
    'journal/window.ts',
    'while (this.#low < this.#high && this.#bits[this.#low & mask] === 1)',
    'while (this.#low < this.#high)',
  ),
  one(
    'tail-lost-on-takeover',
    'a new owner begins at the end of the log and not at the cursor',
    'journal/partition.ts',
    'this.#next = cursor.low\n',
    'this.#next = Math.max(cursor.low, of.log.head(this.#slot))\n',
  ),
  {
    name: 'behind-forgotten',
    about: 'a message is handled although an earlier one of its key is parked',
    edits: [
      {
        file: 'journal/partition.ts',
        from: 'else if (this.parkedKeys.has(m.key)) this.#behind(m)',
        to: 'else if (this.parkedKeys.has(m.id)) this.#behind(m)',
      },
      {
        file: 'journal/partition.ts',
        from: 'if (!this.parkedKeys.has(m.key)) return',
        to: 'if (m.offset >= 0) return',
      },
    ],
  },
  one(
    'followers-let-go',
    'what waits behind a message of its key is handled although that has failed',
    'journal/partition.ts',
    'for (const follower of this.#keys.drain(m.key)) this.#behind(follower)',
    'for (const follower of this.#keys.drain(m.key)) this.#ready.push(follower)',
  ),
  one(
    'transaction-without-cursor',
    'the transaction of a handler commits without its cursor',
    'journal/partition.ts',
    'writes: [this.#cursor.advance(run.messages.map((m) => m.offset))]',
    'writes: []',
  ),
  one(
    'transaction-without-messages',
    'what a handler publishes in its transaction is left out of it',
    'journal/run.ts',
    '[...unit.writes, ...this.#writes]',
    '[...unit.writes]',
  ),
  one(
    'claimed-beside-old-runs',
    'a partition is taken up again while handlers of its former life still run',
    'journal/balance.ts',
    '      else if (s.busy(p)) continue\n',
    '',
  ),
  one(
    'late-end-counts',
    'a run that the engine has given up on ends a second time',
    'journal/running.ts',
    '    if (run.over) return\n',
    '',
  ),
  one(
    'one-run-too-many',
    'one handler more than allowed runs at once',
    'journal/subscription.ts',
    'return this.counts.running < this.options.concurrency',
    'return this.counts.running <= this.options.concurrency',
  ),
  one(
    'retries-of-a-paused-one',
    'a paused subscription still tries parked messages again',
    'journal/subscription.ts',
    'this.options.concurrency && !this.#gate.stopped && !this.#gate.paused',
    'this.options.concurrency && !this.#gate.stopped',
  ),
  one(
    'secret-in-the-history',
    'the faults of a parked message are kept unmasked',
    'journal/history.ts',
    'redact.value({ at: now, ...faultRecord(f) })',
    '({ at: now, ...faultRecord(f) })',
  ),
  one(
    'no-backoff',
    'a failed message is tried again at once',
    'journal/parking.ts',
    'due: now + Math.ceil(Math.max(wait ?? 0, plan.delay(burned, random))),',
    'due: now,',
  ),
  one(
    'attempts-not-counted',
    'a message that fails is tried for ever',
    'journal/parking.ts',
    'const burned = attempts + 1',
    'const burned = attempts',
  ),
  one(
    'edit-overtaken',
    'a run that began before a person has edited its message ends the edited one',
    'journal/retries.ts',
    "states: ['retry', 'held'], body }",
    "states: ['retry', 'held'], ...(body === undefined ? { body } : {}) }",
  ),
  one(
    'unread-is-old-too',
    'retention removes messages that a subscription has not finished',
    'journal/retention.ts',
    'unread.get(topic.slot + p) ?? this.#log.head(topic.slot + p)',
    'this.#log.head(topic.slot + p)',
  ),
  // beside the Runtime
  one(
    'clock-of-the-host',
    "a deadline is taken from the host's clock",
    'journal/delays.ts',
    "'durable', entry.body.length)\n    this.expect(due)",
    "'durable', entry.body.length)\n    this.expect(due + 0 * Date.now())",
  ),
]
