import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fairlead, subscription, topic } from 'fairlead'
import { postgres } from 'fairlead/postgres'
import { sqlite } from 'fairlead/sqlite'

export type Job = { readonly key: string; readonly n: number; readonly poison?: boolean }

export const jobs = topic<Job>('jobs', { key: (j) => j.key })
export const partitions = 16

/** Written at once, past every buffer of ours: what the parent has read was said before any later death. */
const say = (line: string): unknown => writeSync(1, `${line}\n`)
/** Of this machine, not of this process. */
const now = (): string => String(process.hrtime.bigint())

/** The store at an address: the path of a file, or a URL and a schema of it. */
export function storeAt(address: string, schema?: string) {
  return schema === undefined ? sqlite(address) : postgres(address, { schema })
}

/** A worker of its own process: says what it handles and what it owns; a poisoned job ends it. */
async function work(address: string, schema?: string): Promise<void> {
  const app = await fairlead({
    store: storeAt(address, schema),
    log: { write: (_level, event) => void say(`event ${event}`) },
    use: [
      jobs,
      subscription('work', {
        to: jobs,
        retry: { attempts: 3, first: '50ms', max: '50ms' },
        async handle(job) {
          const began = now()
          if (job.poison) process.exit(7)
          await new Promise((resolve) => setTimeout(resolve, 2))
          say(`handled ${job.key} ${job.n} ${began} ${now()}`)
        },
      }),
    ],
  })
  let owned = -1
  const look = setInterval(() => {
    app.operations.status().then(
      ({ subscriptions }) => {
        const owns = subscriptions.find((s) => s.name === 'work')?.partitions ?? 0
        if (owns !== owned) say(`owns ${(owned = owns)}.`)
      },
      () => {}, // it ends
    )
  }, 20)
  await app.run()
  clearInterval(look)
  say('ended')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await work(process.argv[2]!, process.argv[3])
