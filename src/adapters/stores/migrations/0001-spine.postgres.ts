/**
 * The spine on PostgreSQL, made in the schema of the store (`search_path` is set while it runs).
 *
 * - The log of a topic is a row of tables, its *segments* (`fl_log_<topic>_<segment>`): appends go into the newest, and
 *   retention drops the oldest, a table that nobody reads. Position = slot × 2^38 + offset, as in the embedded store.
 * - `fl_heads` has one row a topic: the next offset of each partition. An append locks it, so offsets have no gaps and
 *   whoever sees a head sees every message below it.
 * - `fl_seen` has a hash of each id that somebody else chose, `fl_seen_old` those of the window before.
 * - The append of each topic and `fl_advance` are the hot path; `fl_apply` does every other verb of the port, one call a commit.
 */
export const spinePostgres = `
create table fl_meta (one boolean primary key default true check (one), level integer not null, shape text not null, seen_since bigint not null default 0, seen_old boolean not null default false);
create table fl_sessions (id text primary key, seq bigint not null, outcome jsonb, at timestamptz not null default now());

create table fl_topics (name text collate "C" primary key, slot integer not null unique, partitions integer not null);
create table fl_subscriptions (id integer primary key, name text collate "C" not null unique, topic text collate "C" not null);
create table fl_heads (topic integer primary key, next bigint[] not null, segment integer not null) with (fillfactor = 20);
create table fl_segments (topic integer not null, segment integer not null, started bigint not null, first bigint[] not null, primary key (topic, segment));
create table fl_seen (hash bigint primary key, time bigint not null, pos bigint not null);
create table fl_seen_old (hash bigint primary key, time bigint not null, pos bigint not null);
create table fl_delayed (
  row bigint generated always as identity primary key, due bigint not null, slot integer not null, id text not null, key text,
  time bigint not null, meta text, body text, bytes bytea, dedupe bigint not null, hash bigint
);
create index fl_delayed_due on fl_delayed (due, row);

create table fl_cursors (
  subscription integer not null, partition integer not null, low bigint not null, done varbit,
  primary key (subscription, partition)
) with (fillfactor = 20);
create table fl_parked (
  row bigint generated always as identity primary key, subscription integer not null, partition integer not null, "offset" bigint not null,
  key text collate "C", id text not null, time bigint not null, meta text, body text, bytes bytea,
  state text not null check (state in ('retry', 'held', 'behind', 'dead')), attempts integer not null, due bigint not null,
  since bigint not null, faults text, held_by text,
  unique (subscription, partition, "offset")
);
create index fl_parked_due on fl_parked (subscription, due, "offset") where state in ('retry', 'held');
create index fl_parked_key on fl_parked (subscription, partition, key, "offset");
create index fl_parked_state on fl_parked (state, subscription);

create table fl_keys (name text collate "C" primary key, value text not null, version bigint not null, expires bigint);
create index fl_keys_expires on fl_keys (expires) where expires is not null;
create table fl_leases (name text collate "C" primary key, worker text, epoch bigint not null) with (fillfactor = 50);
create index fl_leases_worker on fl_leases (worker) where worker is not null;
create table fl_workers (
  id text primary key, beat bigint not null, level integer not null, host text not null, pid integer not null, started bigint not null
) with (fillfactor = 50);

create table fl_calls (
  id bigint generated always as identity primary key, time bigint not null, connection text not null, operation text not null,
  outcome text not null, record text not null
);
create table fl_audit (
  id bigint generated always as identity primary key, time bigint not null, verb text not null, subject text not null, detail text not null
);

-- Two states of one cursor united (cursor.ts has the law). Bit 1 of \`done\` is the mark itself; whoever sends a state has the mark as far as it goes.
create function fl_merge(a_low bigint, a_done varbit, b_low bigint, b_done varbit, out low bigint, out done varbit) language plpgsql immutable as $$
declare a varbit := B''; b varbit := B''; n integer; z integer;
begin
  if b_low >= a_low and (a_done is null or b_low - a_low >= length(a_done)) then -- nothing is known beyond b
    low := b_low;
    done := b_done;
    return;
  end if;
  low := greatest(a_low, b_low);
  if a_done is not null and low - a_low < length(a_done) then a := substring(a_done from (low - a_low)::integer + 1); end if;
  if b_done is not null and low - b_low < length(b_done) then b := substring(b_done from (low - b_low)::integer + 1); end if;
  n := greatest(length(a), length(b));
  if n = 0 then return; end if;
  done := (a || repeat('0', n - length(a))::varbit) | (b || repeat('0', n - length(b))::varbit);
  if position(B'1' in done) = 0 then done := null; return; end if;
  z := position(B'0' in done);
  if z = 0 then
    low := low + n;
    done := null;
  elsif z > 1 then
    low := low + z - 1;
    done := substring(done from z);
    if position(B'1' in done) = 0 then done := null; end if;
  end if;
end $$;

create function fl_id_at(p_topic integer, p_pos bigint) returns text language plpgsql as $$
declare s integer; found_id text;
begin
  for s in select segment from fl_segments where topic = p_topic order by segment desc loop
    execute format('select id from fl_log_%s_%s where pos = $1', p_topic, s) into found_id using p_pos;
    if found_id is not null then return found_id; end if;
  end loop;
  return null;
end $$;

-- Gives entries of one topic their places, in order. Each has the rank among those of its slot; \`p_counts\` is how many each
-- partition gets. \`p_hashes\` names those whose id was chosen by somebody else (null: fresh), \`p_checked\` says how many. The first
-- statement takes the topic's row, so whatever follows is done by one at a time. Answers with the offsets before, and, when
-- ids were seen before, the position of each of those (the others move up), with the ranks as they then are.
create function fl_place(
  p_topic integer, p_slots integer[], p_ranks integer[], p_counts bigint[], p_times bigint[], p_ids text[], p_window bigint, p_hashes bigint[], p_checked integer,
  out base bigint[], out known bigint[], out ranks integer[], out newest integer
) language plpgsql as $$
declare
  mine bigint := p_topic::bigint << 48; -- ids are unique per topic
  taken integer := 0; old boolean; slow boolean := false; counts bigint[]; after bigint[];
begin
  update fl_heads set next = (select array_agg(a + n order by i) from unnest(next, p_counts) with ordinality u(a, n, i))
    where topic = p_topic returning next, segment into after, newest;
  if not found then raise exception 'no topic begins at slot %', p_topic using errcode = 'FL001'; end if;
  select array_agg(a - n order by i) into base from unnest(after, p_counts) with ordinality u(a, n, i);
  ranks := p_ranks;
  if p_checked = 0 then return; end if;
  select seen_old into old from fl_meta;
  if old then
    select count(*) into taken from unnest(p_hashes, p_times) u(hash, time)
      where exists (select 1 from fl_seen_old o where o.hash = u.hash # mine and o.time >= u.time - p_window);
    slow := taken > 0;
  end if;
  if not slow then
    -- A plain insert that fails as a whole is for the many commits without a repetition 40 % cheaper than \`on conflict\`, which looks
    -- twice and logs twice; in the order of the index it is cheaper still.
    begin
      insert into fl_seen (hash, time, pos)
        select u.hash # mine, u.time, (u.slot::bigint << 38) + base[u.slot - p_topic + 1] + u.rank
        from (select unnest(p_hashes) as hash, unnest(p_times) as time, unnest(p_slots) as slot, unnest(p_ranks) as rank) u
        where u.hash is not null order by u.hash # mine;
    exception when unique_violation then
      slow := true;
    end;
  end if;
  if not slow then return; end if;
  select array_agg(case when s.time >= u.time - p_window then s.pos when old and o.time >= u.time - p_window then o.pos end order by u.i)
    into known
    from unnest(p_hashes, p_times) with ordinality u(hash, time, i)
    left join fl_seen s on s.hash = u.hash # mine left join fl_seen_old o on o.hash = u.hash # mine;
  -- A hash that two ids share must not drop a message: where the message is still there, its id decides.
  for i in 1 .. cardinality(p_ids) loop
    if known[i] is not null and coalesce(fl_id_at(p_topic, known[i]) <> p_ids[i], false) then known[i] := null; end if;
  end loop;
  select array_agg(case when u.known is null then u.rank::integer - 1 end order by u.i) into ranks
    from (select i, k as known, row_number() over (partition by slot, k is null order by i) as rank
          from unnest(p_slots, known) with ordinality v(slot, k, i)) u;
  counts := array_fill(0::bigint, array[cardinality(p_counts)]);
  for i in 1 .. cardinality(p_slots) loop
    if known[i] is null then counts[p_slots[i] - p_topic + 1] := counts[p_slots[i] - p_topic + 1] + 1; end if;
  end loop;
  update fl_heads set next = (select array_agg(a + n order by i) from unnest(base, counts) with ordinality u(a, n, i)) where topic = p_topic;
  insert into fl_seen as s (hash, time, pos)
    select u.hash # mine, u.time, (u.slot::bigint << 38) + base[u.slot - p_topic + 1] + u.rank
    from unnest(p_hashes, p_times, p_slots, ranks, known) u(hash, time, slot, rank, known) where u.hash is not null and u.known is null
    on conflict (hash) do update set time = excluded.time, pos = excluded.pos;
end $$;

-- Each topic has an append of its own that names its newest segment, so that the insert is planned once and not each time (a fifth
-- of a millisecond). One that waited while a new segment was begun finds its name out of date.
create function fl_define_append(p_topic integer, p_segment integer) returns void language plpgsql as $define$
begin
  execute format($text$
create or replace function fl_log_%1$s_append(
  p_slots integer[], p_ranks integer[], p_counts bigint[], p_times bigint[], p_ids text[], p_keys text[], p_metas text[],
  p_bodies text[], p_bytes bytea[], p_window bigint, p_hashes bigint[], p_checked integer, out base bigint[], out known bigint[]
) language plpgsql as $$
declare newest integer; ranks integer[];
begin
  select p.base, p.known, p.ranks, p.newest into base, known, ranks, newest
    from fl_place(%1$s, p_slots, p_ranks, p_counts, p_times, p_ids, p_window, p_hashes, p_checked) p;
  if newest = %2$s then
    insert into fl_log_%1$s_%2$s (pos, time, id, key, meta, body, bytes)
      select (u.slot::bigint << 38) + base[u.slot - %1$s + 1] + u.rank, u.time, u.id, u.key, u.meta, u.body, u.bytes
      from (select unnest(p_slots) as slot, unnest(ranks) as rank, unnest(p_times) as time, unnest(p_ids) as id, unnest(p_keys) as key,
          unnest(p_metas) as meta, unnest(p_bodies) as body, unnest(p_bytes) as bytes) u where u.rank is not null;
  else
    execute 'insert into fl_log_%1$s_' || newest || ' (pos, time, id, key, meta, body, bytes)
      select (u.slot::bigint << 38) + $9[u.slot - %1$s + 1] + u.rank, u.time, u.id, u.key, u.meta, u.body, u.bytes
      from unnest($1, $2, $3, $4, $5, $6, $7, $8) u(slot, rank, time, id, key, meta, body, bytes) where u.rank is not null'
      using p_slots, ranks, p_times, p_ids, p_keys, p_metas, p_bodies, p_bytes, base;
  end if;
end $$$text$, p_topic, p_segment);
end $define$;

-- Where messages with these ids are, among those of the topic from the given offsets on: what a lost answer would have said.
create function fl_find(p_topic integer, p_from bigint[], p_ids text[]) returns table (id text, pos bigint) language plpgsql as $$
declare s integer;
begin
  for s in select segment from fl_segments where topic = p_topic order by segment loop
    return query execute format('select l.id, l.pos from unnest($1) with ordinality f(first, p)
      join fl_log_%s_%s l on l.pos >= (($2 + f.p - 1) << 38) + f.first and l.pos < (($2 + f.p) << 38) where l.id = any ($3)', p_topic, s)
      using p_from, p_topic::bigint, p_ids;
  end loop;
end $$;

create function fl_known(p_topic integer, p_hashes bigint[]) returns table (hash bigint, pos bigint) language sql as $$
  select u.hash, coalesce(s.pos, o.pos) from unnest(p_hashes) u(hash)
    left join fl_seen s on s.hash = u.hash # (p_topic::bigint << 48) left join fl_seen_old o on o.hash = u.hash # (p_topic::bigint << 48)
    where coalesce(s.pos, o.pos) is not null
$$;

-- Moves cursors, each under its lease. False: the lease is another's now, the cursor stayed. No cursor may come twice.
create function fl_advance(p_leases text[], p_epochs bigint[], p_subscriptions integer[], p_partitions integer[], p_lows bigint[], p_dones text[], p_relaxed boolean)
returns boolean[] language plpgsql as $$
declare held boolean[];
begin
  if p_relaxed then perform set_config('synchronous_commit', 'off', true); end if;
  perform 1 from fl_leases where name = any (p_leases) order by name for share;
  select array_agg(exists (select 1 from fl_leases l where l.name = u.name and l.epoch = u.epoch and l.worker is not null) order by u.i)
    into held from unnest(p_leases, p_epochs) with ordinality u(name, epoch, i);
  insert into fl_cursors as c (subscription, partition, low, done)
    select m.subscription, m.partition, m.low, m.done::varbit
    from unnest(held, p_subscriptions, p_partitions, p_lows, p_dones) m(held, subscription, partition, low, done) where m.held
    on conflict (subscription, partition) do update set (low, done) = (select f.low, f.done from fl_merge(c.low, c.done, excluded.low, excluded.done) f);
  return held;
end $$;

-- Keys are locked by name, so that one that is absent can be held too.
create function fl_lock_key(p_name text) returns void language sql as $$
  select pg_advisory_xact_lock(hashtext(current_schema()), hashtext(p_name))
$$;

create function fl_holds(g jsonb) returns boolean language plpgsql as $$
declare p fl_parked;
begin
  if g->>'guard' = 'lease' then
    perform 1 from fl_leases where name = g->>'name' and epoch = (g->>'epoch')::bigint and worker is not null for share;
    return found;
  end if;
  if g->>'guard' = 'key' then
    perform fl_lock_key(g->>'name');
    return coalesce((select version from fl_keys where name = g->>'name' and (expires is null or expires > (g->>'now')::bigint)), 0) = (g->>'version')::bigint;
  end if;
  select * into p from fl_parked where subscription = (g->'at'->>'subscription')::integer and partition = (g->'at'->>'partition')::integer
    and "offset" = (g->'at'->>'offset')::bigint for update;
  return found and g->'states' ? p.state
    and (not g ? 'body' or p.body is not distinct from g->>'body') and (not g ? 'bytes' or p.bytes is not distinct from decode(g->>'bytes', 'hex'));
end $$;

-- Appends entries as JSON, of any topics, a call for each topic; one by one where an id comes twice or windows differ.
-- Answers with the position of each, -1 - position where the id was seen before.
create function fl_append_json(p_entries jsonb) returns jsonb language plpgsql as $$
declare
  places bigint[] := '{}'; g record; a record; one_of integer; n bigint[]; p integer; one jsonb;
begin
  for g in
    select t.slot as topic, t.partitions, array_agg(e.i::integer order by e.i) as i, array_agg(e.slot order by e.i) as slot, array_agg(e.rank order by e.i) as rank,
      array_agg(e.time order by e.i) as time, array_agg(e.id order by e.i) as id, array_agg(e.key order by e.i) as key, array_agg(e.meta order by e.i) as meta,
      array_agg(e.body order by e.i) as body, array_agg(e.bytes order by e.i) as bytes, array_agg(e.hash order by e.i) as hash, max(e.dedupe) as dedupe,
      count(e.hash)::integer as checked, count(e.hash) = count(distinct e.hash) and count(distinct e.dedupe) filter (where e.hash is not null) <= 1 as plain
    from (select i, v->>'id' as id, (v->>'slot')::integer as slot, v->>'key' as key, (v->>'time')::bigint as time, v->>'meta' as meta, v->>'body' as body,
        decode(v->>'bytes', 'hex') as bytes, (v->>'dedupe')::bigint as dedupe, (v->>'hash')::bigint as hash,
        (row_number() over (partition by v->>'slot' order by i))::integer - 1 as rank
      from jsonb_array_elements(p_entries) with ordinality as l(v, i)) e
    join fl_topics t on e.slot >= t.slot and e.slot < t.slot + t.partitions
    group by t.slot, t.partitions order by t.slot
  loop
    if g.plain then
      n := array_fill(0::bigint, array[g.partitions]);
      for k in 1 .. cardinality(g.slot) loop n[g.slot[k] - g.topic + 1] := n[g.slot[k] - g.topic + 1] + 1; end loop;
      execute format('select * from fl_log_%s_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)', g.topic) into a
        using g.slot, g.rank, n, g.time, g.id, g.key, g.meta, g.body, g.bytes, g.dedupe, g.hash, g.checked;
      n := a.base;
      for k in 1 .. cardinality(g.slot) loop
        p := g.slot[k] - g.topic + 1;
        if a.known[k] is not null then places[g.i[k]] := -1 - a.known[k];
        else
          places[g.i[k]] := (g.slot[k]::bigint << 38) + n[p];
          n[p] := n[p] + 1;
        end if;
      end loop;
    else
      foreach one_of in array g.i loop
        one := fl_append_json(jsonb_build_array(p_entries->(one_of - 1)));
        places[one_of] := (one->>0)::bigint;
      end loop;
    end if;
  end loop;
  if cardinality(places) <> jsonb_array_length(p_entries) or array_position(places, null) is not null then
    raise exception 'an entry is of no topic' using errcode = 'FL001';
  end if;
  return to_jsonb(places);
end $$;

-- One at a time for a key: who parks behind a message and who takes that message away, each in a transaction of its own, would
-- not see each other, and nobody would ever wake the one behind.
create function fl_lock_parked(s integer, p integer, k text) returns void language sql as $$
  select pg_advisory_xact_lock(hashtext(current_schema()), hashtext(format('parked/%s/%s/%s', s, p, k)))
$$;

create function fl_unpark(p_at jsonb, p_now bigint) returns bigint language plpgsql as $$
declare k text; s integer := (p_at->>'subscription')::integer; p integer := (p_at->>'partition')::integer;
begin
  select key into k from fl_parked where subscription = s and partition = p and "offset" = (p_at->>'offset')::bigint;
  if k is not null then perform fl_lock_parked(s, p, k); end if;
  delete from fl_parked where subscription = s and partition = p and "offset" = (p_at->>'offset')::bigint;
  if k is null then return 0; end if;
  update fl_parked set state = 'retry', due = p_now where state = 'behind' and row = (
    select row from fl_parked where subscription = s and partition = p and key = k order by "offset" limit 1);
  return (select count(*) from fl_parked where subscription = s and partition = p and key = k);
end $$;

create function fl_park(p jsonb) returns bigint language plpgsql as $$
declare n bigint; alone boolean := false;
begin
  -- The one it was to wait for may have gone while this was on its way: then nobody would ever wake it.
  if p->>'state' = 'behind' then
    perform fl_lock_parked((p->>'subscription')::integer, (p->>'partition')::integer, p->>'key');
    alone := not exists (select 1 from fl_parked where subscription = (p->>'subscription')::integer and partition = (p->>'partition')::integer
      and key = p->>'key' and "offset" < (p->>'offset')::bigint);
  end if;
  insert into fl_parked (subscription, partition, "offset", key, id, time, meta, body, bytes, state, attempts, due, since, faults, held_by)
    values ((p->>'subscription')::integer, (p->>'partition')::integer, (p->>'offset')::bigint, p->>'key', p->>'id', (p->>'time')::bigint,
      p->>'meta', p->>'body', decode(p->>'bytes', 'hex'), case when alone then 'retry' else p->>'state' end, (p->>'attempts')::integer,
      (p->>'due')::bigint, (p->>'since')::bigint, p->>'faults', p->>'heldBy')
    on conflict (subscription, partition, "offset") do nothing;
  get diagnostics n = row_count;
  return n;
end $$;

create function fl_fire(p_now bigint, p_limit bigint) returns bigint language plpgsql as $$
declare entries jsonb;
begin
  with due as (
    delete from fl_delayed where row in (select row from fl_delayed where due <= p_now order by due, row limit p_limit for update skip locked)
    returning row, due, slot, id, key, meta, body, bytes, dedupe, hash)
  select jsonb_agg(jsonb_build_object('slot', slot, 'id', id, 'key', key, 'time', p_now, 'meta', meta, 'body', body, 'bytes', encode(bytes, 'hex'),
      'dedupe', dedupe, 'hash', hash) order by due, row) into entries from due;
  if entries is null then return 0; end if;
  perform fl_append_json(entries);
  return jsonb_array_length(entries);
end $$;

create function fl_new_segment(p_topic integer, p_segment integer, p_started bigint, p_first bigint[]) returns void language plpgsql as $$
begin
  execute format('create table fl_log_%s_%s (pos bigint primary key, time bigint not null, id text not null collate "C", key text collate "C", meta text, body text, bytes bytea)', p_topic, p_segment);
  insert into fl_segments values (p_topic, p_segment, p_started, p_first);
  perform fl_define_append(p_topic, p_segment);
end $$;

create function fl_topic(p_name text, p_partitions integer, p_now bigint) returns bigint language plpgsql as $$
declare s integer;
begin
  select slot into s from fl_topics where name = p_name;
  if found then return s; end if;
  perform pg_advisory_xact_lock(hashtext(current_schema()), 1);
  select slot into s from fl_topics where name = p_name;
  if found then return s; end if;
  select coalesce(max(slot + partitions), 0) into s from fl_topics;
  if s + p_partitions > 32768 then
    raise exception 'a store has 32768 partitions in all: % are taken, topic "%" wants %', s, p_name, p_partitions using errcode = 'FL002';
  end if;
  insert into fl_topics values (p_name, s, p_partitions);
  insert into fl_heads values (s, array_fill(0::bigint, array[p_partitions]), 1);
  perform fl_new_segment(s, 1, p_now, array_fill(0::bigint, array[p_partitions]));
  return s;
end $$;

create function fl_subscription(p_name text, p_topic text, p_from text) returns bigint language plpgsql as $$
declare n integer;
begin
  select id into n from fl_subscriptions where name = p_name;
  if found then return n; end if;
  perform pg_advisory_xact_lock(hashtext(current_schema()), 1);
  select id into n from fl_subscriptions where name = p_name;
  if found then return n; end if;
  select coalesce(max(id), 0) + 1 into n from fl_subscriptions;
  insert into fl_subscriptions values (n, p_name, p_topic);
  insert into fl_cursors (subscription, partition, low)
    select n, u.i - 1, case when p_from = 'now' then u.next else 0 end
    from fl_topics t join fl_heads h on h.topic = t.slot, unnest(h.next) with ordinality u(next, i) where t.name = p_topic;
  return n;
end $$;

-- Row by row, for what no whole segment covers. The newest message of a slot stays.
create function fl_trim_log(p_slot integer, p_before bigint, p_below bigint, p_limit bigint) returns bigint language plpgsql as $$
declare t integer; s integer; low bigint := p_slot::bigint << 38; high bigint; n bigint; total bigint := 0; looked bigint := 0; c bigint;
begin
  select slot into t from fl_topics where slot <= p_slot order by slot desc limit 1;
  select low + least(p_below, next[p_slot - t + 1] - 1) into high from fl_heads where topic = t;
  for s in select segment from fl_segments where topic = t order by segment loop
    execute format('with old as (select pos, time from fl_log_%1$s_%2$s where pos >= $1 and pos < $2 order by pos limit $3),
      gone as (delete from fl_log_%1$s_%2$s where pos in (select pos from old where time < $4) returning 1)
      select (select count(*) from gone), (select count(*) from old)', t, s) into n, c using low, high, p_limit - looked, p_before;
    total := total + n;
    looked := looked + c;
    exit when looked >= p_limit;
  end loop;
  return total;
end $$;

create function fl_compact(p_slot integer, p_from bigint, p_below bigint, p_limit bigint) returns bigint language plpgsql as $$
declare t integer; s integer; low bigint := p_slot::bigint << 38; parts text; gone bigint[]; n bigint; total bigint := 0;
begin
  select slot into t from fl_topics where slot <= p_slot order by slot desc limit 1;
  select string_agg(format('select pos, key from fl_log_%s_%s where pos >= $1 and pos < $2 and key is not null', t, segment), ' union all ')
    into parts from fl_segments where topic = t;
  if parts is null then return 0; end if;
  execute format('select array_agg(pos) from (select pos from (select pos, row_number() over (partition by key order by pos desc) age from (%s) l) a
    where age > 1 and pos < $3 limit $4) g', parts) into gone using low + p_from, low + (1::bigint << 38), low + p_below, p_limit;
  if gone is null then return 0; end if;
  for s in select segment from fl_segments where topic = t loop
    execute format('delete from fl_log_%s_%s where pos = any ($1)', t, s) using gone;
    get diagnostics n = row_count;
    total := total + n;
  end loop;
  return total;
end $$;

-- Begins a new segment where the newest has grown old; otherwise drops whole segments in which everything is past its age and read.
-- One that somebody is reading stays for the next time.
create function fl_shed(p_topic integer, p_now bigint, p_before bigint, p_span bigint, p_below bigint[]) returns bigint language plpgsql as $$
declare h fl_heads; s fl_segments; t fl_segments; total bigint := 0;
begin
  select * into h from fl_heads where topic = p_topic;
  if not found then return 0; end if;
  select * into s from fl_segments where topic = p_topic and segment = h.segment;
  if s.started <= p_now - p_span and s.first <> h.next then
    select * into h from fl_heads where topic = p_topic for update;
    if h.segment = s.segment then
      perform fl_new_segment(p_topic, h.segment + 1, p_now, h.next);
      update fl_heads set segment = h.segment + 1 where topic = p_topic;
      return 0; -- appends wait for this row: dropping is for the next call
    end if;
  end if;
  perform set_config('lock_timeout', '200ms', true);
  for s in select * from fl_segments where topic = p_topic and segment < h.segment order by segment limit 8 loop
    select * into t from fl_segments where topic = p_topic and segment > s.segment order by segment limit 1;
    exit when t.started > p_before;
    for i in 1 .. cardinality(t.first) loop
      if t.first[i] > p_below[i] then return total; end if;
    end loop;
    begin
      execute format('drop table if exists fl_log_%s_%s', p_topic, s.segment);
    exception when lock_not_available then
      return total;
    end;
    delete from fl_segments where topic = p_topic and segment = s.segment;
    select total + sum(b - a) into total from unnest(s.first, t.first) u(a, b);
  end loop;
  return total;
end $$;

-- Ids are forgotten a generation at a time: the tables change places, and the one that grew too old is emptied. An hour is added
-- for clocks that are ahead.
create function fl_trim_seen(p_now bigint, p_before bigint) returns bigint language plpgsql as $$
declare m fl_meta;
begin
  select * into m from fl_meta for update;
  if m.seen_since > p_before - 3600000 then return 0; end if;
  truncate fl_seen_old;
  alter table fl_seen rename to fl_seen_new;
  alter table fl_seen_old rename to fl_seen;
  alter table fl_seen_new rename to fl_seen_old;
  update fl_meta set seen_old = true, seen_since = p_now;
  return 1;
end $$;

create function fl_trim(w jsonb) returns bigint language plpgsql as $$
declare n bigint; before bigint := (w->>'before')::bigint; most bigint := (w->>'limit')::bigint;
begin
  case w->>'what'
    when 'log' then return fl_trim_log((w->>'slot')::integer, before, (w->>'below')::bigint, most);
    when 'seen' then return fl_trim_seen((w->>'now')::bigint, before);
    when 'keys' then delete from fl_keys where name in (select name from fl_keys where expires < before limit most);
    when 'calls' then delete from fl_calls where id in (select id from (select id, time from fl_calls order by id limit most) c where time < before);
    when 'audit' then delete from fl_audit where id in (select id from (select id, time from fl_audit order by id limit most) c where time < before);
  end case;
  get diagnostics n = row_count;
  return n;
end $$;

create function fl_write(w jsonb) returns jsonb language plpgsql as $$
declare n bigint := 0; at jsonb := w->'at'; e jsonb := w->'entry';
begin
  case w->>'write'
    when 'append' then return fl_append_json(w->'entries');
    when 'park' then return to_jsonb(fl_park(w->'parked'));
    when 'unpark' then return to_jsonb(fl_unpark(at, (w->>'now')::bigint));
    when 'fire' then return to_jsonb(fl_fire((w->>'now')::bigint, (w->>'limit')::bigint));
    when 'trim' then return to_jsonb(fl_trim(w));
    when 'shed' then return to_jsonb(fl_shed((w->>'slot')::integer, (w->>'now')::bigint, (w->>'before')::bigint, (w->>'span')::bigint,
      array(select value::bigint from jsonb_array_elements_text(w->'below'))));
    when 'compact' then return to_jsonb(fl_compact((w->>'slot')::integer, (w->>'from')::bigint, (w->>'below')::bigint, (w->>'limit')::bigint));
    when 'topic' then return to_jsonb(fl_topic(w->>'name', (w->>'partitions')::integer, (w->>'now')::bigint));
    when 'subscription' then return to_jsonb(fl_subscription(w->>'name', w->>'topic', w->>'from'));
    when 'advance' then
      insert into fl_cursors as c (subscription, partition, low, done)
        values ((w->>'subscription')::integer, (w->>'partition')::integer, (w->>'low')::bigint, (w->>'done')::varbit)
        on conflict (subscription, partition) do update set (low, done) = (select f.low, f.done from fl_merge(c.low, c.done, excluded.low, excluded.done) f);
    when 'repark' then
      update fl_parked set state = w->>'state', attempts = (w->>'attempts')::integer, due = (w->>'due')::bigint, faults = w->>'faults', held_by = w->>'heldBy',
        body = case when w ? 'body' then w->>'body' when w ? 'bytes' then null else body end,
        bytes = case when w ? 'bytes' then decode(w->>'bytes', 'hex') when w ? 'body' then null else bytes end
        where subscription = (at->>'subscription')::integer and partition = (at->>'partition')::integer and "offset" = (at->>'offset')::bigint;
    when 'postpone' then
      update fl_parked set due = (w->>'due')::bigint where subscription = (w->>'subscription')::integer and state = 'held' and held_by = w->>'heldBy' and due < (w->>'due')::bigint;
    when 'put' then
      perform fl_lock_key(w->>'name');
      insert into fl_keys as k (name, value, version, expires) values (w->>'name', w->>'value', 1, (w->>'expires')::bigint)
        on conflict (name) do update set value = excluded.value, version = k.version + 1, expires = excluded.expires returning version into n;
      return to_jsonb(n);
    when 'drop' then
      perform fl_lock_key(w->>'name');
      delete from fl_keys where name = w->>'name';
    when 'lease' then
      insert into fl_leases as l (name, worker, epoch) values (w->>'name', w->>'worker', 1)
        on conflict (name) do update set worker = excluded.worker, epoch = l.epoch + 1 where l.worker is null or l.worker = w->>'from' returning epoch into n;
      return to_jsonb(coalesce(n, 0));
    when 'release' then update fl_leases set worker = null where name = w->>'name' and worker = w->>'worker';
    when 'worker' then
      insert into fl_workers (id, beat, level, host, pid, started)
        select r.id, r.beat, r.level, r.host, r.pid, r.started from jsonb_to_record(w->'worker') as r(id text, beat bigint, level integer, host text, pid integer, started bigint)
        on conflict (id) do update set beat = excluded.beat;
    when 'gone' then
      update fl_leases set worker = null where worker = w->>'worker';
      delete from fl_workers where id = w->>'worker';
    when 'delay' then
      insert into fl_delayed (due, slot, id, key, time, meta, body, bytes, dedupe, hash) values ((w->>'due')::bigint, (e->>'slot')::integer, e->>'id', e->>'key',
        (e->>'time')::bigint, e->>'meta', e->>'body', decode(e->>'bytes', 'hex'), (e->>'dedupe')::bigint, (e->>'hash')::bigint);
    when 'call' then
      insert into fl_calls (time, connection, operation, outcome, record) values ((w->>'time')::bigint, w->>'connection', w->>'operation', w->>'outcome', w->>'record');
    when 'audit' then
      insert into fl_audit (time, verb, subject, detail) values ((w->>'time')::bigint, w->>'verb', w->>'subject', w->>'detail');
  end case;
  get diagnostics n = row_count;
  return to_jsonb(n);
end $$;

-- All other verbs of the port: units in order, each all or nothing. Answers per unit with its results, or with the number of the guard that failed.
create function fl_apply(p_units jsonb, p_whole boolean) returns jsonb language plpgsql as $$
declare u jsonb; g jsonb; w jsonb; i integer; failed integer; results jsonb[]; outcomes jsonb[] := '{}';
begin
  for u in select value from jsonb_array_elements(p_units) loop
    failed := null;
    i := 0;
    for g in select value from jsonb_array_elements(coalesce(u->'guards', '[]')) loop
      if not fl_holds(g) then failed := i; exit; end if;
      i := i + 1;
    end loop;
    if failed is not null then
      outcomes := outcomes || jsonb_build_object('failed', failed);
    elsif not p_whole or not exists (select 1 from unnest(outcomes) o where o ? 'failed') then
      results := '{}';
      for w in select value from jsonb_array_elements(u->'writes') loop results := results || fl_write(w); end loop;
      outcomes := outcomes || jsonb_build_object('results', to_jsonb(results));
    else
      outcomes := outcomes || jsonb_build_object('results', '[]'::jsonb);
    end if;
  end loop;
  return to_jsonb(outcomes);
end $$;

-- One commit of other verbs, whose outcome is kept under the session: who lost the answer can ask for it.
create function fl_commit(p_session text, p_seq bigint, p_units jsonb, p_relaxed boolean, p_whole boolean) returns jsonb language plpgsql as $$
declare o jsonb;
begin
  if p_relaxed then perform set_config('synchronous_commit', 'off', true); end if;
  o := fl_apply(p_units, p_whole);
  insert into fl_sessions as s (id, seq, outcome) values (p_session, p_seq, o)
    on conflict (id) do update set seq = excluded.seq, outcome = excluded.outcome, at = now();
  return o;
end $$;
`
