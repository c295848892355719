import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { rabbitmqAbsent, startRabbitmq } from '../tools/servers/rabbitmq.ts'
import { redisAbsent, startRedis } from '../tools/servers/redis.ts'
import { bullmq } from './contenders/bullmq.ts'
import { ours } from './contenders/ours.ts'
import { rabbitmq } from './contenders/rabbitmq.ts'
import { latencies, rounds } from './contest.ts'
import { medians, quantile } from './measure.ts'
import { sqliteStore } from './stores.ts'
import { events, type Contender } from './workload.ts'

export const about = [
  'embedded, one process, 250-byte JSON with key and dedupe id, 16 partitions; WAL, acknowledged after fdatasync',
  'bullmq: Redis with appendfsync always; rabbitmq: quorum queue, publisher confirms; each where its server is installed',
  'limits: fdatasync of 4 KiB written in place (sync API); bare multi-row insert of the same rows, synchronous=full',
]

const embedded = ours('', sqliteStore)

export async function run(): Promise<Record<string, number>> {
  await using servers = new AsyncDisposableStack()
  const contenders: Contender[] = [embedded]
  const redis = redisAbsent()
  if (redis === undefined) contenders.push(bullmq(servers.use(await startRedis())))
  else leftOut('bullmq', redis)
  const rabbit = rabbitmqAbsent()
  if (rabbit === undefined) contenders.push(rabbitmq(servers.use(await startRabbitmq())))
  else leftOut('rabbitmq', rabbit)
  const figures = medians(await rounds(contenders, 3, async () => ({ ...limits(), p99_ms_50000: await crowded() })))
  // Its name since the first version.
  return { ...figures, cpu_us: figures['through_cpu_us']! }
}

/** A comparison that is missing must be seen to be missing. */
function leftOut(peer: string, why: string): void {
  process.stderr.write(`journal: WITHOUT ${peer}: ${why}\n`)
}

/** 99 of 100 at 50,000 a second; of the peers none can. */
async function crowded(): Promise<number> {
  await using place = await embedded.place()
  return quantile(await latencies(place, 50_000, 4), 0.99)
}

function limits(): Record<string, number> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
  const fd = openSync(join(folder, 'sync'), 'w')
  const page = Buffer.alloc(4096, 1)
  for (let i = 0; i < 2000; i++) writeSync(fd, page)
  fdatasyncSync(fd)
  let begun = performance.now()
  for (let i = 0; i < 2000; i++) {
    writeSync(fd, page, 0, 4096, i * 4096)
    fdatasyncSync(fd)
  }
  const fdatasync = 2000 / ((performance.now() - begun) / 1000)
  closeSync(fd)
  const db = new DatabaseSync(join(folder, 'bare.db'))
  db.exec(
    'pragma journal_mode=wal; pragma synchronous=full; create table log (seq integer primary key, id text, key text, body text)',
  )
  const insert = db.prepare('insert into log (id, key, body) values (?, ?, ?)')
  begun = performance.now()
  for (let b = 0; b < 200; b++) {
    db.exec('begin immediate')
    for (const e of events(1000)) insert.run(e.id, e.key, JSON.stringify(e))
    db.exec('commit')
  }
  const inserted = 200_000 / ((performance.now() - begun) / 1000)
  db.close()
  rmSync(folder, { recursive: true })
  return { limit_fdatasync: fdatasync, limit_insert_1000: inserted }
}
