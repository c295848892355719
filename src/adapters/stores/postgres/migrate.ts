import { fault } from '#kernel/fault.ts'
import { migrations, schemaLevel } from '../migrations/index.ts'
import { storeFault } from './errors.ts'
import type { Session } from './session.ts'

/**
 * Brings the schema to our level, one process at a time (an advisory lock; a crash releases it), each time in one
 * transaction: a migration that fails leaves everything as it was. Nothing is written before every check has passed:
 * `store.rights`, `store.foreign` (tables named like ours without our mark), `store.newer`, `store.altered`.
 */
export async function migrate(session: Session, schema: string): Promise<void> {
  await session.query(`select pg_advisory_lock(hashtext('fairlead'), hashtext($1))`, [schema])
  try {
    await session.query('begin')
    try {
      await inTransaction(session, schema)
      await session.query('commit')
    } catch (e) {
      await session.query('rollback').catch(() => {})
      throw storeFault(e, 'store.open')
    }
  } finally {
    if (!session.lost) await session.query(`select pg_advisory_unlock(hashtext('fairlead'), hashtext($1))`, [schema])
  }
}

async function inTransaction(session: Session, schema: string): Promise<void> {
  const [[there, may]] = (await session.query(
    `select to_regnamespace($1) is not null, has_database_privilege(current_database(), 'create')`,
    [schema],
  )) as [[boolean, boolean]]
  if (!there) {
    if (!may) {
      throw fault('store.rights', {
        message: `the schema "${schema}" is absent, and the role may not create it: create it and make the role its owner`,
        detail: { schema },
      })
    }
    await session.query(`create schema "${schema}"`)
  }
  const level = await levelOf(session, schema)
  if (level > schemaLevel) {
    throw fault('store.newer', {
      message: `the schema "${schema}" has level ${level}, this version knows ${schemaLevel}`,
      detail: { schema, level, known: schemaLevel },
    })
  }
  if (level > 0) await assertUnaltered(session, schema)
  if (level === schemaLevel) return
  for (const m of migrations) if (m.level > level) await session.query(m.postgres)
  const shape = (await shapeOf(session, schema)).join('\n')
  await session.query(
    'insert into fl_meta (level, shape) values ($1, $2) on conflict (one) do update set level = excluded.level, shape = excluded.shape',
    [schemaLevel, shape],
  )
}

/** 0: nothing of ours is there. */
async function levelOf(session: Session, schema: string): Promise<number> {
  const [[marked, tables]] = (await session.query(
    `select to_regclass($1) is not null, (select count(*)::int from pg_class where relnamespace = to_regnamespace($2) and relname like 'fl\\_%')`,
    [`"${schema}".fl_meta`, schema],
  )) as [[boolean, number]]
  if (marked) {
    const rows = (await session.query('select level from fl_meta')) as [number][]
    return rows[0]?.[0] ?? 0
  }
  if (tables > 0) {
    throw fault('store.foreign', {
      message: `the schema "${schema}" has tables named fl_… that are not of this store: choose another schema`,
      detail: { schema },
    })
  }
  return 0
}

/** A table, index or function that somebody changed by hand would be found much later, and by less kind means. */
async function assertUnaltered(session: Session, schema: string): Promise<void> {
  const [[kept]] = (await session.query('select shape from fl_meta')) as [[string]]
  const [expected, found] = [new Set(kept.split('\n')), new Set(await shapeOf(session, schema))]
  const differences = [
    ...[...expected].filter((l) => !found.has(l)).map((l) => `missing: ${l}`),
    ...[...found].filter((l) => !expected.has(l)).map((l) => `unexpected: ${l}`),
  ]
  if (differences.length > 0) {
    throw fault('store.altered', {
      message: `the schema "${schema}" was altered: ${differences.slice(0, 5).join('; ')}`,
      detail: { schema, differences: differences.slice(0, 50) },
    })
  }
}

/** Every column, index and function of ours, a line each, in words that do not change with the version of the server. Segments of the log come and go. */
export async function shapeOf(session: Session, schema: string): Promise<readonly string[]> {
  const rows = await session.query(
    `with ours as (select oid, relname from pg_class where relnamespace = to_regnamespace($1) and relkind = 'r' and relname like 'fl\\_%' and relname not like 'fl\\_log\\_%')
     select 'column ' || relname || '.' || attname || ' ' || format_type(atttypid, atttypmod) || case when attnotnull then ' not null' else '' end
       from ours join pg_attribute on attrelid = ours.oid where attnum > 0 and not attisdropped
     union all
     select 'index on ' || relname || case when indisunique then ' unique' else '' end || case when indpred is null then '' else ' partial' end || ' (' ||
       (select string_agg(attname, ', ' order by k) from unnest(indkey::smallint[]) with ordinality u(attnum, k) join pg_attribute a on a.attrelid = ours.oid and a.attnum = u.attnum) || ')'
       from ours join pg_index on indrelid = ours.oid
     union all
     select 'function ' || proname || ' ' || md5(prosrc) from pg_proc where pronamespace = to_regnamespace($1) and proname like 'fl\\_%' and proname not like 'fl\\_log\\_%'
     order by 1`,
    [schema],
  )
  return rows.map((r) => String(r[0]))
}
