import { sql } from '#kernel/sql.ts'
import type { Store } from '../port.ts'
import { append, commit, entry, log, refused, same, start, topic, type Case } from './trial.ts'

const limit = 5_000

/** A table of the user, made by the user. */
async function ownTable(store: Store): Promise<void> {
  const tx = await store.begin(limit)
  await tx.query(sql`create table mine (name text primary key, total integer)`)
  await tx.commit([])
}

/** What is committed in the table of the user. */
async function mine(store: Store): Promise<readonly unknown[]> {
  const tx = await store.begin(limit)
  try {
    return (await tx.query(sql`select name from mine order by name`)).map((r) => r['name'])
  } finally {
    await tx.rollback()
  }
}

const appending = (slot: number, id: string) =>
  ({ write: 'append', entries: [entry(slot, id, { dedupe: 1_000_000 })] }) as const

/** Interactive transactions: statements of the user, and units, or neither. */
export const transactionCases: readonly Case[] = [
  {
    name: 'S140 statements of the user and units commit together',
    async run({ store }) {
      await ownTable(store)
      const t = await topic(store)
      const tx = await store.begin(limit)
      same(await tx.query(sql`insert into mine values (${'a'}, ${1})`), [])
      same(await tx.commit([{ writes: [appending(t, 'x')] }, { writes: [] }]), [
        { ok: true, results: [[{ slot: t, offset: 0, duplicate: false }]] },
        { ok: true, results: [] },
      ])
      same(await mine(store), ['a'])
      same((await log(store, t)).length, 1)
    },
  },
  {
    name: 'S141 gives rows back, and takes values apart from the text',
    async run({ store }) {
      await ownTable(store)
      const tx = await store.begin(limit)
      const name = `'); drop table mine; --`
      same(await tx.query(sql`insert into mine values (${name}, ${7}) returning total`), [{ total: 7 }])
      same(await tx.query(sql`select * from mine where name = ${name}`), [{ name, total: 7 }])
      same(await tx.query(sql`select ${null} as a, ${'x'} as b, ${Uint8Array.of(1, 2)} as c`), [
        { a: null, b: 'x', c: Uint8Array.of(1, 2) },
      ])
      await tx.rollback()
    },
  },
  {
    name: 'S142 a failed guard rolls everything back, the statements of the user and the other units too',
    async run({ store }) {
      await ownTable(store)
      const t = await topic(store)
      const failed = { guard: 'key', name: 'k', version: 3, now: start } as const
      const tx = await store.begin(limit)
      await tx.query(sql`insert into mine values ('a', 1)`)
      const outcomes = await tx.commit([
        { writes: [appending(t, 'x')] },
        { guards: [failed], writes: [appending(t, 'y')] },
      ])
      same(outcomes[1], { ok: false, failed })
      same(await mine(store), [])
      same(await log(store, t), [])
      await refused(tx.query(sql`select 1`), 'store.transaction')
      same(await append(store, entry(t, 'x', { dedupe: 9 })), [{ slot: t, offset: 0, duplicate: false }])
    },
  },
  {
    name: 'S143 a rollback takes everything back: rows, offsets without a gap, ids that were not seen',
    async run({ store }) {
      await ownTable(store)
      const t = await topic(store)
      await append(store, entry(t, 'before'))
      const tx = await store.begin(limit)
      await tx.query(sql`insert into mine values ('a', 1)`)
      await tx.rollback()
      await tx.rollback()
      same(await mine(store), [])
      same(await append(store, entry(t, 'x', { dedupe: 99 })), [{ slot: t, offset: 1, duplicate: false }])
    },
  },
  {
    name: 'S144 beyond its limit it is rolled back, and any later use is refused',
    async run({ store, clock }) {
      await ownTable(store)
      const t = await topic(store)
      const tx = await store.begin(limit)
      await tx.query(sql`insert into mine values ('a', 1)`)
      await clock.advance(limit - 1)
      await tx.query(sql`insert into mine values ('b', 1)`)
      await clock.advance(1)
      await refused(tx.query(sql`insert into mine values ('c', 1)`), 'store.transaction')
      await refused(tx.commit([{ writes: [appending(t, 'x')] }]), 'store.transaction')
      await tx.rollback()
      same(await mine(store), [])
      same(await log(store, t), [])
    },
  },
  {
    name: 'S145 after its end any use is refused, and no timer is left',
    async run({ store, clock }) {
      for (const end of ['commit', 'rollback'] as const) {
        const tx = await store.begin(limit)
        await (end === 'commit' ? tx.commit([]) : tx.rollback())
        await refused(tx.query(sql`select 1`), 'store.transaction')
        await refused(tx.commit([]), 'store.transaction')
      }
      const tx = await store.begin(limit)
      await tx.commit([])
      await clock.advance(limit * 2)
      same(await commit(store, { write: 'put', name: 'k', value: 'v', expires: null }), [1])
    },
  },
  {
    name: 'S146 commits and transactions of others wait until it has ended, and then follow in order',
    needs: 'one writer',
    async run({ store, clock }) {
      const t = await topic(store)
      const tx = await store.begin(limit)
      const order: string[] = []
      const commits = ['a', 'b'].map((id) => append(store, entry(t, id)).then(() => order.push(id)))
      const next = store.begin(limit).then(async (other) => {
        order.push('begin')
        await other.rollback()
      })
      await clock.advance(0)
      same(order, [])
      await tx.commit([{ writes: [appending(t, 'first')] }])
      await Promise.all([...commits, next])
      same(
        (await log(store, t)).map((m) => m.id),
        ['first', 'a', 'b'],
      )
      same([...order].sort(), ['a', 'b', 'begin'])
    },
  },
  {
    name: 'S147 commits that waited go on when the limit ends it',
    needs: 'one writer',
    async run({ store, clock }) {
      const t = await topic(store)
      await store.begin(limit)
      const waiting = append(store, entry(t, 'a'))
      await clock.advance(limit)
      same(await waiting, [{ slot: t, offset: 0, duplicate: false }])
    },
  },
  {
    name: 'S148 a statement that fails is a fault of the user, and the transaction can be rolled back',
    async run({ store }) {
      await ownTable(store)
      const tx = await store.begin(limit)
      await tx.query(sql`insert into mine values ('a', 1)`)
      await refused(tx.query(sql`insert into mine values ('a', 2)`), 'store.sql')
      await refused(tx.query(sql`selec nonsense`), 'store.sql')
      await tx.rollback()
      same(await mine(store), [])
    },
  },
  {
    name: 'S149 no statement can end the transaction: rows and messages stay together',
    async run({ store }) {
      await ownTable(store)
      const t = await topic(store)
      const hidden = sql`/* x */ -- y
        end`
      const ends = [sql`commit`, sql`rollback`, sql`Rollback transaction`, hidden, sql`;commit`, sql`begin`]
      for (const statement of ends) {
        const tx = await store.begin(limit)
        await tx.query(sql`insert into mine values ('a', 1)`)
        try {
          await refused(tx.query(statement), 'store.sql')
        } finally {
          await tx.rollback()
        }
        same(await mine(store), [], statement.text[0])
      }
      const tx = await store.begin(limit)
      await tx.query(sql`insert into mine values ('a', 1)`)
      await tx.commit([{ writes: [appending(t, 'x')] }])
      same([await mine(store), (await log(store, t)).length], [['a'], 1])
    },
  },
  {
    name: 'S152 a savepoint of the user can be rolled back to without ending the transaction',
    async run({ store }) {
      await ownTable(store)
      const tx = await store.begin(limit)
      await tx.query(sql`insert into mine values ('a', 1)`)
      await tx.query(sql`savepoint s`)
      await tx.query(sql`insert into mine values ('b', 1)`)
      await tx.query(sql`rollback to savepoint s`)
      await tx.query(sql`release savepoint s`)
      await tx.commit([])
      same(await mine(store), ['a'])
    },
  },
  {
    name: 'S150 the rows of a transaction are in the store after it was opened again',
    needs: 'reopen',
    async run(trial) {
      await ownTable(trial.store)
      const t = await topic(trial.store)
      const tx = await trial.store.begin(limit)
      await tx.query(sql`insert into mine values ('a', 1)`)
      await tx.commit([{ writes: [appending(t, 'x')] }])
      const store = await trial.reopen()
      same([await mine(store), (await log(store, t)).map((m) => m.id)], [['a'], ['x']])
    },
  },
  {
    name: 'S151 another process sees nothing of an open transaction, and all of it afterwards',
    needs: 'second',
    async run(trial) {
      const other = await trial.second()
      const t = await topic(trial.store)
      const tx = await trial.store.begin(limit)
      await tx.query(sql`create table mine (name text primary key)`)
      same(await log(other, t), [])
      await tx.commit([{ writes: [appending(t, 'x')] }])
      same((await log(other, t)).length, 1)
      same(await append(other, entry(t, 'x', { dedupe: 9 })), [{ slot: t, offset: 0, duplicate: true }])
    },
  },
]
