import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isFault } from 'fairlead'
import { seededRandom } from '#testing/random.ts'
import type { Env, Result, Scenario } from '../scenario.ts'
import { Arena } from '../world/arena.ts'
import { factory } from '../world/client.ts'
import { visitor } from '../world/look.ts'
import { until } from '../world/pause.ts'
import { frames, walHeader } from '../world/wal.ts'

/** Two stores with the same kind of content: one whose process was killed (all in the log), one that was closed (all in the file). */
type Stock = { readonly db: Buffer; readonly wal: Buffer }

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

  /** Opens a copy by the engine, reads everything that an operator can, then every row. `checked`: also what SQLite's own check says. */
  async open({ db, wal }: Stock): Promise<Found & { readonly checked: boolean }> {
    const folder = join(this.#folder, String(this.#n++))
    mkdirSync(folder)
    const address = join(folder, 'x.db')
    writeFileSync(address, db)
    if (wal.length > 0) writeFileSync(`${address}-wal`, wal)
    try {
      const found = await inspect(address)
      return { ...found, checked: check(address) }
    } finally {
      rmSync(folder, { recursive: true })
    }
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

/** Whether SQLite's own check finds nothing wrong. */
function check(address: string): boolean {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(address)
    return Object.values(db.prepare('pragma integrity_check').get() ?? {})[0] === 'ok'
  } catch {
    return false
  } finally {
    db?.close()
  }
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

  // One bit of the log, of its header, and of the file: which is where no checksum reaches.
  const flips = env.kills
  const flip = (bytes: Buffer, from: number, to: number): { readonly bytes: Buffer; readonly bit: number } => {
    const bit = from * 8 + Math.floor(random.float() * (to - from) * 8)
    const copy = Buffer.from(bytes)
    copy[bit >> 3]! ^= 1 << (bit & 7)
    return { bytes: copy, bit }
  }
  for (let i = 0; i < Math.ceil(flips * 0.4); i++) {
    const inHeader = i % 5 === 0
    const { bytes, bit } = inHeader ? flip(files.wal, 0, walHeader) : flip(files.wal, walHeader, last.end)
    const found = await bench.open({ ...files, wal: bytes })
    verdict(`bit ${bit} of the log flipped`, inHeader ? 'log_header' : 'log', found, () => true)
  }
  const closed = await stock(env, true)
  const good = await bench.open(closed.files)
  for (let i = 0; i < Math.floor(flips * 0.6); i++) {
    const found = await bench.open({ ...closed.files, db: flip(closed.files.db, 0, closed.files.db.length).bytes })
    if (!('holds' in found)) count('file_refused')
    else if ('holds' in good && found.holds === good.holds)
      count(found.checked ? 'file_harmless' : 'file_harmless_checked')
    else count(found.checked ? 'file_silent' : 'file_silent_but_checked')
  }
  return {
    injected: cuts.size + flips,
    acknowledged: acknowledged + closed.acknowledged,
    lost: 0,
    doubled: 0,
    more: { cuts: cuts.size, flips, ...counts },
    broken,
  }
}

export const damage: Scenario = {
  name: 'damage',
  about:
    'the log cut at the boundaries of its frames and every n-th byte of the last (--every), --kills flipped bits in log and file',
  kills: 60,
  every: 97,
  run,
}
