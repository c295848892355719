-- Schema level 2 of the embedded store, as a fresh one has it. Written by FAIRLEAD_UPDATE=1 npm test.

-- table fl_audit on fl_audit
CREATE TABLE fl_audit (id integer primary key, time integer not null, verb text not null, subject text not null, detail text not null, sum integer) strict;

-- table fl_calls on fl_calls
CREATE TABLE fl_calls (
  id integer primary key, time integer not null, connection text not null, operation text not null, outcome text not null,
  record text not null
, sum integer) strict;

-- table fl_cursors on fl_cursors
CREATE TABLE fl_cursors (
  subscription integer not null, partition integer not null, low integer not null, done blob, sum integer,
  primary key (subscription, partition)
) strict, without rowid;

-- table fl_delayed on fl_delayed
CREATE TABLE fl_delayed (
  row integer primary key, due integer not null, slot integer not null, id text not null, key text, time integer not null,
  meta text, body any not null, dedupe integer not null
, sum integer) strict;

-- index fl_delayed_due on fl_delayed
CREATE INDEX fl_delayed_due on fl_delayed (due);

-- table fl_keys on fl_keys
CREATE TABLE fl_keys (name text primary key, value text not null, version integer not null, expires integer, sum integer) strict, without rowid;

-- index fl_keys_expires on fl_keys
CREATE INDEX fl_keys_expires on fl_keys (expires) where expires is not null;

-- table fl_leases on fl_leases
CREATE TABLE fl_leases (name text primary key, worker text, epoch integer not null) strict, without rowid;

-- table fl_log on fl_log
CREATE TABLE fl_log (
  pos integer primary key, time integer not null, id text not null, key text, meta text, body any not null
, sum integer) strict;

-- table fl_parked on fl_parked
CREATE TABLE fl_parked (
  row integer primary key, subscription integer not null, partition integer not null, offset integer not null, key text,
  id text not null, time integer not null, meta text, body any not null,
  state text not null check (state in ('retry', 'held', 'behind', 'dead')), attempts integer not null,
  due integer not null, since integer not null, faults text, held_by text, sum integer,
  unique (subscription, partition, offset)
) strict;

-- index fl_parked_due on fl_parked
CREATE INDEX fl_parked_due on fl_parked (subscription, due) where state in ('retry', 'held');

-- index fl_parked_key on fl_parked
CREATE INDEX fl_parked_key on fl_parked (subscription, partition, key, offset);

-- index fl_parked_state on fl_parked
CREATE INDEX fl_parked_state on fl_parked (state, subscription);

-- table fl_seen on fl_seen
CREATE TABLE fl_seen (
  run integer primary key, newest integer not null, count integer not null, bloom blob not null, hashes blob not null,
  positions blob not null
, sum integer, bloom_sum integer) strict;

-- table fl_seen_upto on fl_seen_upto
CREATE TABLE fl_seen_upto (slot integer primary key, next integer not null, sum integer) strict;

-- table fl_slots on fl_slots
CREATE TABLE fl_slots (slot integer primary key, head integer not null, removed integer not null, unchecked integer not null, sum integer) strict;

-- table fl_subscriptions on fl_subscriptions
CREATE TABLE fl_subscriptions (id integer primary key, name text not null unique, topic text not null, sum integer) strict;

-- table fl_topics on fl_topics
CREATE TABLE fl_topics (name text primary key, slot integer not null unique, partitions integer not null, sum integer) strict, without rowid;

-- table fl_workers on fl_workers
CREATE TABLE fl_workers (
  id text primary key, beat integer not null, level integer not null, host text not null, pid integer not null,
  started integer not null
) strict, without rowid;
