import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { virtualClock } from '#testing/clock.ts'
import { append, commit, entry, log, refused } from '../conformance/trial.ts'
import { ask, drop, newSchema, openStore as openPostgres } from '../postgres/open.fixture.ts'
import { openStore, scratch } from '../sqlite/open.fixture.ts'
import { migrations, schemaLevel } from './index.ts'

const clock = virtualClock()
const snapshot = fileURLToPath(new URL('schema.sqlite.sql', import.meta.url))
/** "FLD1" */
const ours = 0x464c4431

function file(t: TestContext): string {
  const { file, remove } = scratch()
  t.after(remove)
  return file
}

async function open(path: string): Promise<void> {
  await (await openStore(path, clock))[Symbol.asyncDispose]()
}

/** A database as it was at a level: the migrations up to it, and the marks that opening leaves. */
function atLevel(path: string, level: number): void {
  const db = new DatabaseSync(path)
  for (const m of migrations) if (m.level <= level) db.exec(m.sqlite)
  db.exec(`pragma application_id = ${ours}; pragma user_version = ${level}`)
  db.close()
}

function schemaOf(path: string): string {
  const db = new DatabaseSync(path, { readOnly: true })
  const rows = db
    .prepare(
      `select type, name, tbl_name, sql from sqlite_schema where sql is not null order by tbl_name, type desc, name`,
    )
    .all()
  const level = Number(db.prepare('pragma user_version').get()?.['user_version'])
  db.close()
  return [
    `-- Schema level ${level} of the embedded store, as a fresh one has it. Written by FAIRLEAD_UPDATE=1 npm test.\n`,
    ...rows.map(
      (r) => `-- ${String(r['type'])} ${String(r['name'])} on ${String(r['tbl_name'])}\n${String(r['sql'])};\n`,
    ),
  ].join('\n')
}

test('the schema of a fresh store is that of schema.sqlite.sql', async (t) => {
  const path = file(t)
  await open(path)
  const actual = schemaOf(path)
  if (process.env['FAIRLEAD_UPDATE'] === '1') writeFileSync(snapshot, actual)
  // As lines, so that a failure shows those that differ.
  assert.deepEqual(actual.split('\n'), readFileSync(snapshot, 'utf8').split('\n'))
})

test('migrations are numbered from 1 without gaps', () => {
  assert.deepEqual(
    migrations.map((m) => m.level),
    migrations.map((_, i) => i + 1),
  )
  assert.equal(schemaLevel, migrations.length)
})

for (const { level } of migrations) {
  test(`a store of level ${level - 1} becomes one of level ${schemaLevel}, the same as a fresh one`, async (t) => {
    const path = file(t)
    atLevel(path, level - 1)
    await open(path)
    assert.equal(schemaOf(path), readFileSync(snapshot, 'utf8'))
  })
}

test('messages from before there were checksums are read as they are, and their gaps are no damage; all else is covered', async (t) => {
  const path = file(t)
  atLevel(path, 1)
  const db = new DatabaseSync(path)
  db.exec(`insert into fl_topics values ('t', 0, 2);
    insert into fl_log (pos, time, id, body) values (3, 1, 'a', '"a"'), (5, 1, 'b', '"b"');
    insert into fl_subscriptions values (1, 's', 't');
    insert into fl_cursors values (1, 0, 4, null);
    insert into fl_parked (subscription, partition, offset, id, time, body, state, attempts, due, since)
      values (1, 0, 3, 'a', 1, '"a"', 'retry', 1, 1, 1);
    insert into fl_delayed (due, slot, id, time, body, dedupe) values (1, 1, 'c', 1, '"c"', 0);
    insert into fl_keys values ('k', 'v', 7, null)`)
  db.close()
  const store = await openStore(path, clock)
  t.after(() => store[Symbol.asyncDispose]())
  await append(store, entry(0, 'd'))
  await commit(store, { write: 'fire', now: 1, limit: 9 })
  const at = { subscription: 1, partition: 0, offset: 3 }
  const told = async (slot: number) => (await log(store, slot)).map((m) => `${m.offset} ${m.damage ? 'damaged' : m.id}`)
  assert.deepEqual(await told(0), ['3 a', '5 b', '6 d'])
  assert.deepEqual(await told(1), ['0 c'])
  assert.equal((await store.read({ read: 'parkedAt', at }))?.damage, undefined)
  assert.equal((await store.read({ read: 'key', name: 'k', now: 1 }))?.version, 7)
  assert.equal((await store.read({ read: 'cursors', subscription: 1 }))[0]?.low, 4)
  const other = new DatabaseSync(path)
  other.exec(`update fl_log set body = '"x"' where id in ('b', 'd'); update fl_keys set value = 'w';
    update fl_parked set body = '"x"'`)
  other.close()
  assert.deepEqual(await told(0), ['3 a', '5 b', '6 damaged'])
  // All else has got its checksum when the store was opened.
  await refused(store.read({ read: 'key', name: 'k', now: 1 }), 'store.corrupt')
  assert.deepEqual((await store.read({ read: 'parkedAt', at }))?.damage, { missing: 0 })
})

test('opening a store of this level again changes nothing', async (t) => {
  const path = file(t)
  await open(path)
  const before = readFileSync(path)
  await open(path)
  assert.deepEqual(readFileSync(path), before)
})

test('a migration that fails in the middle leaves the level and the schema from before, and can be repeated', async (t) => {
  const path = file(t)
  const level = schemaLevel - 1
  atLevel(path, level)
  // A table that the last migration is going to make, under the last of the names it makes: everything before it succeeds.
  const name = [...migrations.at(-1)!.sqlite.matchAll(/create table (\w+)/g)].at(-1)![1]!
  const db = new DatabaseSync(path)
  db.exec(`create table ${name} (in_the_way)`)
  db.close()
  const before = schemaOf(path)
  await refused(openStore(path, clock), 'store.open')
  assert.equal(schemaOf(path), before)
  const again = new DatabaseSync(path)
  again.exec(`drop table ${name}`)
  again.close()
  await open(path)
  assert.equal(schemaOf(path), readFileSync(snapshot, 'utf8'))
})

test('the schema of a fresh store on PostgreSQL is that of schema.postgres.txt, and its mark says so', async (t) => {
  const schema = newSchema()
  t.after(() => drop(schema))
  await (await openPostgres(schema, clock))[Symbol.asyncDispose]()
  const [mark] = await ask(`select level, shape from ${schema}.fl_meta`)
  assert.equal(mark!['level'], schemaLevel)
  // The body of a function is in its migration: here is its fingerprint.
  const actual = `${String(mark!['shape'])}\n`
  const path = fileURLToPath(new URL('schema.postgres.txt', import.meta.url))
  if (process.env['FAIRLEAD_UPDATE'] === '1') writeFileSync(path, actual)
  assert.deepEqual(actual.split('\n'), readFileSync(path, 'utf8').split('\n'))
})
