import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fairlead } from 'fairlead'
import { sqlite } from 'fairlead/sqlite'
import type { Operations } from '#app/operations/index.ts'
import { seededRandom } from '#testing/random.ts'
import { charging, orders, ways } from './lost-answers.fixture.ts'

const file = fileURLToPath(new URL('./lost-answers.fixture.ts', import.meta.url))

export type Lost = {
  readonly charges: number
  /** Requests that reached the bank, and how many of their answers did not reach us. */
  readonly requests: number
  readonly unanswered: number
  readonly kills: number
  /** Calls that a person had to decide about. */
  readonly decided: number
  /** Orders that were charged more than once, and those that never were. */
  readonly duplicates: number
  readonly lost: number
}

/**
 * So many charges, a third of them under a key, a third with `verify`, a third with neither; of half the answers nothing arrives,
 * although most were carried out, and the process that charges is killed again and again. A person decides about what is left.
 */
export async function lostAnswers(of: { charges: number; kills: number; seed: number }): Promise<Lost> {
  const folder = mkdtempSync(join(tmpdir(), 'lost-answers-'))
  const store = join(folder, 'x.db')
  await using bank = await open(of.seed)
  const counts = { kills: 0, decided: 0 }
  try {
    await using app = await fairlead({
      store: sqlite(store),
      use: charging(bank.port),
      work: false,
      log: { write: () => {} },
    })
    const all = Array.from({ length: of.charges }, (_, i) => ({ order: `o${i}`, way: ways[i % ways.length]! }))
    for (let i = 0; i < all.length; i += 500) await app.publishMany(orders, all.slice(i, i + 500))
    for (let killed = 0; killed <= of.kills; killed++) {
      const child = spawn(process.execPath, [file, store, String(bank.port)], { stdio: 'ignore' })
      const ended = once(child, 'exit')
      try {
        // Killed while calls are on their way, each time when another part of the orders has been charged.
        if (killed < of.kills) await bank.charged(Math.ceil((of.charges * (killed + 1)) / (of.kills + 1) / 2))
        else counts.decided = await finish()
      } finally {
        child.kill('SIGKILL')
        await ended
        if (killed < of.kills) counts.kills++
      }
    }
    const { made, requests, unanswered } = bank
    const duplicates = [...made.values()].filter((n) => n > 1).length
    return { ...of, ...counts, requests, unanswered, duplicates, lost: all.filter((o) => !made.has(o.order)).length }

    /** As a person would: looks up what the bank knows, says so, and has the message handled again. Until nothing is left. */
    async function finish(): Promise<number> {
      let decided = 0
      for (;;) {
        const dead = await app.operations.parked({ state: 'dead', limit: 1_000 })
        for (const message of dead) {
          const { intent } = (message.fault?.detail ?? {}) as { intent?: string }
          if (message.fault?.code !== 'connection.unverified' || intent === undefined)
            throw new Error(`dead of ${message.fault?.code}: ${message.fault?.message}`)
          const { order } = message.data as { order: string }
          const happened = bank.made.has(order)
          await app.operations.resolve(intent, {
            happened,
            reason: 'asked',
            ...(happened ? { answer: { id: order } } : {}),
          })
          await app.operations.replay(message.parked)
          decided++
        }
        const [{ lag, parked }] = (await app.operations.status()).subscriptions as [Status]
        if (lag + parked.dead + parked.retry + parked.held + parked.behind === 0) return decided
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

type Status = Awaited<ReturnType<Operations['status']>>['subscriptions'][number]

/** A bank that carries out and does not say so. */
async function open(seed: number) {
  const random = seededRandom(seed)
  const made = new Map<string, number>()
  const keys = new Map<string, string>()
  const counts = { requests: 0, unanswered: 0 }
  let waiting: { readonly n: number; readonly done: () => void } | undefined
  const server = createServer((request, response) => void answer(request, response))
  const charge = (order: string, key: string | undefined): void => {
    if (key !== undefined && keys.has(key)) return
    if (key !== undefined) keys.set(key, order)
    made.set(order, (made.get(order) ?? 0) + 1)
    if (waiting && made.size >= waiting.n) waiting.done()
  }
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://bank')
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += String(chunk)
    const send = (status: number, value: unknown): void => {
      const text = JSON.stringify(value)
      response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length }).end(text)
    }
    if (request.method === 'GET') {
      const order = url.searchParams.get('order')!
      return send(200, { items: made.has(order) ? [{ id: order }] : [] })
    }
    const { order } = JSON.parse(body) as { order: string }
    counts.requests++
    const fate = random.float()
    // Carried out and cut; carried out and a 500; neither carried out nor answered; refused; else as it should be.
    if (fate >= 0.1) charge(order, request.headers['idempotency-key'] as string | undefined)
    if (fate < 0.05 || (fate >= 0.1 && fate < 0.45)) {
      counts.unanswered++
      return void request.socket.destroy()
    }
    if (fate < 0.1) return send(503, {})
    if (fate < 0.55) counts.unanswered++
    send(fate < 0.55 ? 500 : 200, { id: order })
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    made,
    get requests() {
      return counts.requests
    },
    get unanswered() {
      return counts.unanswered
    },
    port: (server.address() as AddressInfo).port,
    /** Resolves when so many orders have been charged. */
    charged: (n: number) =>
      new Promise<void>((resolve) => {
        if (made.size >= n) resolve()
        else waiting = { n, done: resolve }
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
