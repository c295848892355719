import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fairlead, isFault, subscription } from 'fairlead'
import { sqlite } from 'fairlead/sqlite'
import { answers, compare, type Answers } from '#adapters/stores/sqlite/flips.fixture.ts'
import { openStore } from '#adapters/stores/sqlite/open.fixture.ts'
import { virtualClock } from '#testing/clock.ts'
import { seededRandom } from '#testing/random.ts'
import type { Env, Result, Scenario } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import { factory } from '../world/client.ts'
import { orders, shipped, type Fact } from '../world/definitions.ts'
import { visitor } from '../world/look.ts'
import { until } from '../world/pause.ts'
import { frames, walHeader } from '../world/wal.ts'

/** Two stores with the same kind of content: one whose process was killed (all in the log), one that was closed (all in the file). */
type Stock = { readonly db: Buffer; readonly wal: Buffer }

const none = Buffer.alloc(0)

async function stock(env: Env, closed: boolean): Promise<{ readonly files: Stock; readonly acknowledged: number }> {
  await using arena = new Arena(env)
  await arena.open()
  const member = (arena.current = arena.spawn())
  await member.ready
  const make = factory(seededRandom(env.seed), 'd')
  for (let i = 0; i < 60; i++) await arena.client.hand(make())
  await until('everything is done', async () => (await arena.books()).lost.length === 0)
  if (closed) await member.stop()
  else {
    member.kill()
    await member.ended
  }
  arena.current = undefined
  const { address } = arena.place
  const wal = closed ? Buffer.alloc(0) : readFileSync(`${address}-wal`)
  return { files: { db: readFileSync(address), wal }, acknowledged: arena.ledger.acknowledged }
}

/** `refused` when it is opened, `noticed` when it is read, or a digest of everything that it holds. */
type Found = { readonly refused: string } | { readonly noticed: string } | { readonly holds: string }

class Bench {
  readonly #folder: string
  #n = 0
  constructor(folder: string) {
    this.#folder = folder
  }

  /** Opens a copy by the engine, reads everything that an operator can, then every row. */
  open({ db, wal }: Stock): Promise<Found> {
    return this.#on(db, wal, inspect)
  }

  /** What the store answers about itself, or the code with which it refuses. */
  ask(db: Buffer): Promise<{ readonly answers: Answers } | { readonly code: string }> {
    return this.#on(db, none, async (address) => {
      try {
        await using store = await openStore(address, virtualClock())
        return { answers: await answers(store) }
      } catch (e) {
        return { code: codeOf(e) }
      }
    })
  }

  /** What is wrong with what a new subscription is served of the orders: undefined when all is right or told. */
  serve(db: Buffer, good: Answers): Promise<string | undefined> {
    return this.#on(db, none, (address) => serve(address, good))
  }

  async #on<T>(db: Buffer, wal: Buffer, work: (address: string) => Promise<T>): Promise<T> {
    const folder = join(this.#folder, String(this.#n++))
    mkdirSync(folder)
    const address = join(folder, 'x.db')
    writeFileSync(address, db)
    if (wal.length > 0) writeFileSync(`${address}-wal`, wal)
    try {
      return await work(address)
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
}

async function serve(address: string, good: Answers): Promise<string | undefined> {
  const served: string[] = []
  const second = subscription('second', { to: orders, from: 'beginning', handle: (f: Fact) => void served.push(f.u) })
  const facts = [0, 1, 2, 3].flatMap((slot) => (good.log.get(slot) ?? []).map((m) => ({ slot, ...m })))
  const all = new Map(facts.map((m) => [(JSON.parse(String(m.body)) as Fact).u, m]))
  try {
    let stopped = false
    const log = {
      write: (_level: string, _event: string, fields: Readonly<Record<string, unknown>> = {}) => {
        if ((fields['fault'] as { code?: unknown } | undefined)?.code === 'store.corrupt') stopped = true
      },
    }
    await using app = await fairlead({ store: sqlite(address), use: [orders, shipped, second], log })
    await until('all of it is read', async () => {
      if (stopped) return true
      const { subscriptions } = await app.operations.status()
      const again = await app.operations.parked({ subscription: 'second', state: 'retry' })
      return subscriptions.find((s) => s.name === 'second')?.lag === 0 && again.length === 0
    })
    // What SQLite itself has found stops the partition, which says so: nothing more is served of it.
    if (stopped) return undefined
    const dead = await app.operations.parked({ subscription: 'second', limit: 1_000 })
    const told = dead.map((p) => {
      const [, partition, offset] = p.position.split('/')
      const missing = Number(p.fault?.detail?.['missing'] ?? 1)
      return { code: p.fault?.code, slot: Number(partition), from: Number(offset), below: Number(offset) + missing }
    })
    const other = told.find((p) => p.code !== 'message.damaged' && p.code !== undefined)
    if (other) return `a message is parked for ${other.code}`
    const strange = served.find((u) => !all.has(u))
    if (strange !== undefined) return `${strange} was served, which nobody has handed in`
    if (new Set(served).size !== served.length) return 'a message was served twice'
    const lost = facts.find(
      (m) =>
        !served.includes((JSON.parse(String(m.body)) as Fact).u) &&
        !told.some((p) => p.slot === m.slot && m.offset >= p.from && m.offset < p.below) &&
        !dead.some((p) => p.id === m.id),
    )
    return lost && `offset ${lost.offset} of partition ${lost.slot} was neither served nor parked`
  } catch (e) {
    // Refused: nothing was served wrongly.
    return isFault(e) ? undefined : String(e)
  }
}

async function inspect(address: string): Promise<Found> {
  let app
  try {
    app = await visitor({ kind: 'sqlite', address })
  } catch (e) {
    return { refused: codeOf(e) }
  }
  try {
    for (const topic of ['orders', 'shipped']) await app.operations.messages({ topic, limit: 1_000 })
    await app.operations.parked({ limit: 1_000 })
    await app.operations.status()
  } catch (e) {
    return { noticed: codeOf(e) }
  } finally {
    await app[Symbol.asyncDispose]().catch(() => {})
  }
  const db = new DatabaseSync(address)
  try {
    return { holds: digest(db) }
  } catch (e) {
    return { noticed: codeOf(e) }
  } finally {
    db.close()
  }
}

const codeOf = (e: unknown): string => (isFault(e) ? e.code : e instanceof Error ? e.message : String(e))

/** Every row of every table. What a process notes about itself (its beat) is left out: a killed one leaves it behind. */
function digest(db: DatabaseSync): string {
  const hash = createHash('sha256')
  const tables = db.prepare(`select name, sql from sqlite_schema order by name`).all()
  for (const { name, sql } of tables) {
    hash.update(JSON.stringify([name, sql]))
    if (!String(sql ?? '').startsWith('CREATE TABLE')) continue
    for (const row of db.prepare(`select * from "${String(name)}" not indexed`).iterate())
      hash.update(JSON.stringify(row))
  }
  return hash.digest('hex')
}

function percent(part: number, of: number): number {
  return of === 0 ? 100 : Math.round((part / of) * 1_000) / 10
}

async function run(env: Env): Promise<Result> {
  const place = env.fresh()
  try {
    return await damageAll(env, new Bench(place.folder))
  } finally {
    place.remove()
  }
}

async function damageAll(env: Env, bench: Bench): Promise<Result> {
  const random = seededRandom(env.seed)
  const broken: string[] = []
  const counts: Record<string, number> = {}
  const count = (name: string): unknown => (counts[name] = (counts[name] ?? 0) + 1)
  const { files, acknowledged } = await stock(env, false)
  const all = frames(files.wal)
  // Before the first there is an empty store.
  const commits = [0, ...all.filter((f) => f.commits).map((f) => f.end)]

  // Where each commit ends there is a state that is allowed: what the store holds when the log is cut there.
  const states = new Map<string, Set<number>>()
  for (const end of commits) {
    const found = await bench.open({ ...files, wal: files.wal.subarray(0, end) })
    if (!('holds' in found)) broken.push(`cut at the end of a commit (${end}) it is not read: ${JSON.stringify(found)}`)
    else states.set(found.holds, (states.get(found.holds) ?? new Set()).add(end))
  }
  const whole = commits.at(-1)!
  const verdict = (what: string, kind: string, found: Found, allowed: (end: number) => boolean): void => {
    if (!('holds' in found)) return void count(`${kind}_refused`)
    const ends = [...(states.get(found.holds) ?? [])]
    count(`${kind}_${ends.length === 0 ? 'silent' : ends.includes(whole) ? 'whole' : 'earlier_commit'}`)
    if (!ends.some(allowed)) broken.push(`${what}: opened, and holds what no commit has left (seed ${env.seed})`)
  }

  // The log cut at every byte of its last frame, and at, before and behind every boundary of a frame.
  const last = all.at(-1)!
  const boundaries = all.filter((_, i) => i % Math.ceil(env.every / 8) === 0)
  const cuts = new Set(boundaries.flatMap((f) => [f.end - 1, f.end, f.end + 1].filter((at) => at <= files.wal.length)))
  for (let at = last.at; at <= last.end; at += env.every) cuts.add(at)
  for (const at of cuts) {
    const found = await bench.open({ ...files, wal: files.wal.subarray(0, at) })
    const reached = commits.findLast((end) => end <= at) ?? 0
    verdict(`the log cut at byte ${at} of ${files.wal.length}`, 'cut', found, (end) => end === reached)
  }

  // One bit of the log, of its header, and of the file, whose pages have no checksum.
  const flips = env.kills
  const flip = (bytes: Buffer, from: number, to: number): { readonly bytes: Buffer; readonly bit: number } => {
    const bit = from * 8 + Math.floor(random.float() * (to - from) * 8)
    const copy = Buffer.from(bytes)
    copy[bit >> 3]! ^= 1 << (bit & 7)
    return { bytes: copy, bit }
  }
  const inLog = Math.ceil(flips * 0.4)
  for (let i = 0; i < inLog; i++) {
    const inHeader = i % 5 === 0
    const { bytes, bit } = inHeader ? flip(files.wal, 0, walHeader) : flip(files.wal, walHeader, last.end)
    const found = await bench.open({ ...files, wal: bytes })
    verdict(`bit ${bit} of the log flipped`, inHeader ? 'log_header' : 'log', found, () => true)
  }
  const closed = await stock(env, true)
  const good = await bench.ask(closed.files.db)
  if (!('answers' in good)) throw new Error(`the sound store is not read: ${good.code}`)
  for (let i = 0; i < flips; i++) {
    const { bytes, bit } = flip(closed.files.db, 0, closed.files.db.length)
    const said = await bench.ask(bytes)
    const told = 'answers' in said ? compare(good.answers, said.answers) : { told: said.code }
    count(`file_${told.told}`)
    if (told.told === 'wrong')
      broken.push(`bit ${bit} of the file flipped: ${'what' in told ? told.what : ''} (seed ${env.seed})`)
    // What an engine makes of it: a subscription that has seen nothing yet.
    if (told.told !== 'damaged') continue
    const wrong = await bench.serve(bytes, good.answers)
    if (wrong !== undefined) broken.push(`bit ${bit} of the file flipped: ${wrong} (seed ${env.seed})`)
  }
  const noticed = Object.entries(counts).filter(([name]) => /^file_(?:damaged|store\.)/.test(name))
  const changed = flips - (counts['file_same'] ?? 0)
  const detected = noticed.reduce((sum, [, n]) => sum + n, 0)
  return {
    injected: cuts.size + flips + inLog,
    acknowledged: acknowledged + closed.acknowledged,
    lost: 0,
    doubled: 0,
    more: {
      cuts: cuts.size,
      log_flips: inLog,
      file_flips: flips,
      ...counts,
      'file_detected_%': percent(detected, changed),
    },
    broken,
  }
}

export const damage: Scenario = {
  name: 'damage',
  about:
    'the log cut at the boundaries of its frames and every n-th byte of the last (--every), --kills flipped bits of the file and 0.4 times as many of the log',
  kills: 60,
  every: 97,
  run,
}
