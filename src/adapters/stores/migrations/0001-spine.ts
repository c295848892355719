import { spinePostgres } from './0001-spine.postgres.ts'
import type { Migration } from './index.ts'

/**
 * Position of a message = slot × 2^38 + offset, as the rowid of `log`: a slot's messages are one run of the B-tree, read
 * in order without an index, and appending to sixteen of them costs 4 % more than appending to one.
 */
export const spine: Migration = {
  level: 1,
  sqlite: `
create table fl_topics (name text primary key, slot integer not null unique, partitions integer not null) strict, without rowid;
create table fl_subscriptions (id integer primary key, name text not null unique, topic text not null) strict;

create table fl_log (
  pos integer primary key, time integer not null, id text not null, key text, meta text, body any not null
) strict;
create table fl_delayed (
  row integer primary key, due integer not null, slot integer not null, id text not null, key text, time integer not null,
  meta text, body any not null, dedupe integer not null
) strict;
create index fl_delayed_due on fl_delayed (due);
create table fl_seen (
  run integer primary key, newest integer not null, count integer not null, bloom blob not null, hashes blob not null,
  positions blob not null
) strict;
create table fl_seen_upto (slot integer primary key, next integer not null) strict;

create table fl_cursors (
  subscription integer not null, partition integer not null, low integer not null, done blob,
  primary key (subscription, partition)
) strict, without rowid;
create table fl_parked (
  row integer primary key, subscription integer not null, partition integer not null, offset integer not null, key text,
  id text not null, time integer not null, meta text, body any not null,
  state text not null check (state in ('retry', 'held', 'behind', 'dead')), attempts integer not null,
  due integer not null, since integer not null, faults text, held_by text,
  unique (subscription, partition, offset)
) strict;
create index fl_parked_due on fl_parked (subscription, due) where state in ('retry', 'held');
create index fl_parked_key on fl_parked (subscription, partition, key, offset);
create index fl_parked_state on fl_parked (state, subscription);

create table fl_keys (name text primary key, value text not null, version integer not null, expires integer) strict, without rowid;
create index fl_keys_expires on fl_keys (expires) where expires is not null;
create table fl_leases (name text primary key, worker text, epoch integer not null) strict, without rowid;
create table fl_workers (
  id text primary key, beat integer not null, level integer not null, host text not null, pid integer not null,
  started integer not null
) strict, without rowid;

create table fl_calls (
  id integer primary key, time integer not null, connection text not null, operation text not null, outcome text not null,
  record text not null
) strict;
create table fl_audit (id integer primary key, time integer not null, verb text not null, subject text not null, detail text not null) strict;
`,
  postgres: spinePostgres,
}
