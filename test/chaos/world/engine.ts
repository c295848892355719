/**
 * One engine in a process of its own, for a parent that plays client: `node engine.ts <sqlite|postgres> <address>`.
 * Commands come in as JSON lines on standard input; every word goes out by a synchronous write, past every buffer of
 * ours, so that what the parent has read was said before any later death.
 */
import { Buffer } from 'node:buffer'
import { writeSync } from 'node:fs'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fairlead, isFault, type App } from 'fairlead'
import { createEffects, definitions, delay, onRun, orders, type Fact } from './definitions.ts'
import { storeAt, type Place } from './place.ts'

export type Command = { readonly n: number } & (
  | { readonly do: 'publish'; readonly fact: Fact }
  /** `count` facts at once, without waiting for any, from this process itself. */
  | { readonly do: 'flood'; readonly prefix: string; readonly count: number; readonly bytes: number }
  | { readonly do: 'quiet' }
  | { readonly do: 'stop' }
)

/** `offset` -1: a late one has no place yet. */
export type Answer =
  | { readonly n: number; readonly u: string; readonly at: readonly [partition: number, offset: number] }
  | { readonly n: number; readonly code: string; readonly message: string }
  | { readonly n: number; readonly quiet: boolean; readonly state: string }
  | { readonly n: number; readonly done: true }
  /** Of a flood, what was answered since the last word: numbers of facts with their places, and refusals by code. */
  | { readonly flood: readonly (readonly [i: number, partition: number, offset: number])[]; readonly refused: Refused }
  | { readonly ready: number }
  /** A handler has done its part; whether it is committed is another question. */
  | { readonly ran: string }

const asleep = new Int32Array(new SharedArrayBuffer(4))

export type Refused = Readonly<Record<string, number>>

function say(answer: Answer): void {
  let rest = Buffer.from(`${JSON.stringify(answer)}\n`)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (e) {
      // The parent is slower than we are: it is waited for, as a blocking write would.
      if ((e as NodeJS.ErrnoException).code !== 'EAGAIN') throw e
      Atomics.wait(asleep, 0, 0, 1)
    }
  }
}

async function publish(app: App, fact: Fact): Promise<readonly [number, number]> {
  const at = await app.publish(orders, fact, fact.manner === 'late' ? { delay } : {})
  return [at.partition, at.offset]
}

/** Whether everything that was accepted has ended: nothing unread, nothing parked but dead ones. */
async function quiet(app: App): Promise<{ quiet: boolean; state: string }> {
  const { subscriptions } = await app.operations.status()
  const open = subscriptions.map((s) => s.lag + s.parked.retry + s.parked.held + s.parked.behind)
  const state = subscriptions
    .map((s) => `${s.name}: lag ${s.lag}, parked ${JSON.stringify(s.parked)}, here ${s.partitions}${s.waiting ?? ''}`)
    .join('; ')
  return { quiet: open.every((n) => n === 0), state }
}

async function flood(
  app: App,
  { prefix, count, bytes }: { prefix: string; count: number; bytes: number },
): Promise<void> {
  const filler = 'x'.repeat(bytes)
  // Told now and then: a word for each would slow the flood down to what its parent can hear.
  let accepted: [number, number, number][] = []
  let refused: Record<string, number> = {}
  const tell = (): void => {
    say({ flood: accepted, refused })
    accepted = []
    refused = {}
  }
  const telling = setInterval(tell, 20)
  let open = count
  let over: () => void = () => {}
  const answered = (): void => {
    if (--open === 0) over()
  }
  for (let i = 0; i < count; i++) {
    publish(app, { u: `${prefix}-${i}`, key: `k${i % 64}`, manner: 'ok', filler })
      .then(
        ([partition, offset]) => void accepted.push([i, partition, offset]),
        (e: unknown) => (refused[codeOf(e)] = (refused[codeOf(e)] ?? 0) + 1),
      )
      .finally(answered)
      .catch(() => {})
    // As sockets would hand in: some in one turn of the loop, more in the next.
    if (i % 32 === 31) await new Promise<void>((resolve) => setImmediate(resolve))
  }
  if (open > 0) await new Promise<void>((resolve) => (over = resolve))
  clearInterval(telling)
  tell()
}

const codeOf = (e: unknown): string => (isFault(e) ? e.code : String(e))

async function main(place: Pick<Place, 'kind' | 'address'>): Promise<void> {
  const began = performance.now()
  onRun((name) => say({ ran: name }))
  const app = await fairlead({ store: storeAt(place), use: definitions })
  await createEffects(app, place.kind)
  say({ ready: performance.now() - began })
  const obey = async (c: Command): Promise<Answer> => {
    switch (c.do) {
      case 'publish':
        return { n: c.n, u: c.fact.u, at: await publish(app, c.fact) }
      case 'flood':
        await flood(app, c)
        return { n: c.n, done: true }
      case 'quiet':
        return { n: c.n, ...(await quiet(app)) }
      case 'stop':
        await app[Symbol.asyncDispose]()
        return { n: c.n, done: true }
    }
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line) as Command
    const answered = obey(command).then(say, (e: unknown) =>
      say({ n: command.n, code: codeOf(e), message: e instanceof Error ? e.message : '' }),
    )
    if (command.do === 'stop') {
      await answered
      break
    }
  }
  await app[Symbol.asyncDispose]()
}

const [kind, address] = process.argv.slice(2)
try {
  await main({ kind: kind as Place['kind'], address: address! })
  process.exit(0)
} catch (e) {
  say({ n: -1, code: codeOf(e), message: e instanceof Error ? (e.stack ?? e.message) : String(e) })
  process.exit(3)
}
