import { offsetCount } from '../port.ts'
import type { Migration } from './index.ts'

/**
 * A checksum a row where SQLite has none (decision 0014). Opening a store of the level before computes those of all rows but the log
 * (`sqlite/seal.ts`), whose messages from before, below `unchecked`, stay without one. PostgreSQL checksums its pages itself.
 *
 * `fl_slots` says of each partition what of its log has to be there: offsets from `removed` to `head`. Of what was there before this
 * level nobody knows what retention and compaction have taken, so it counts as removed.
 */
export const checksums: Migration = {
  level: 2,
  sqlite: `
alter table fl_topics add column sum integer;
alter table fl_subscriptions add column sum integer;
alter table fl_log add column sum integer;
alter table fl_delayed add column sum integer;
alter table fl_seen add column sum integer;
alter table fl_seen add column bloom_sum integer;
alter table fl_seen_upto add column sum integer;
alter table fl_cursors add column sum integer;
alter table fl_parked add column sum integer;
alter table fl_keys add column sum integer;
alter table fl_calls add column sum integer;
alter table fl_audit add column sum integer;
create table fl_slots (slot integer primary key, head integer not null, removed integer not null, unchecked integer not null, sum integer) strict;
insert into fl_slots (slot, head, removed, unchecked)
with recursive
  slots (slot, top) as (
    select slot, slot + partitions from fl_topics union all select slot + 1, top from slots where slot + 1 < top
  ),
  heads (slot, head) as (
    select slot, coalesce((select max(pos) + 1 - slot * ${offsetCount} from fl_log
                           where pos >= slot * ${offsetCount} and pos < (slot + 1) * ${offsetCount}), 0) from slots
  )
select slot, head, head, head from heads;
`,
  postgres: 'select 1',
}
