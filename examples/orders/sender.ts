import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout as timer } from 'node:timers/promises'
import type { Manner, Planned } from './plan.ts'
import { signatureHeader, signed, type Provider } from './sign.ts'

export const paths = {
  stripe: '/hooks/stripe',
  shopify: '/hooks/shopify',
  slack: '/hooks/slack',
  github: '/hooks/github',
  carrier: '/hooks/carrier',
} as const satisfies Record<Provider, string>

/** What the engine told the sender about one request, at last: this is all that a provider ever knows. */
export type Told = {
  readonly planned: Planned
  /** `duplicate`: accepted as well, but an earlier request with the same id had been. */
  readonly outcome: 'accepted' | 'duplicate' | 'refused' | 'unanswered'
  readonly status: number | undefined
  /** The engine's code for a refusal: `webhook.signature`. */
  readonly code: string | undefined
  /** 1 when the first try was answered for good. */
  readonly attempts: number
  /** Milliseconds from sending the last attempt to its complete answer. */
  readonly ms: number
}

export type SenderOptions = {
  readonly secrets: Readonly<Record<Provider, string>>
  /** Where the engine listens now; asked before each attempt, for it may have been restarted. */
  address(): string
  told(answer: Told): void
  readonly signal: AbortSignal
  /** How time is waited for. Default: as it passes. */
  wait?(ms: number, signal: AbortSignal): Promise<unknown>
}

/** At most so many requests are under way; the others wait in order. */
const atOnce = 24
/** A provider waits so long for an answer (Shopify and Slack: 5 s and 3 s), then takes it for lost. */
const patience = 5_000
/** After so many attempts a request is reported as unanswered. With waits of at most 1 s that is more than a minute. */
const mostAttempts = 80

/**
 * Sends the plan as the providers would: signed anew at each attempt, repeated under the same id when the connection
 * fails, nobody answers in time or the answer is 429 or 5xx. Resolves when every request has its answer; rejects with
 * the signal's reason when aborted.
 */
export async function send(plan: readonly Planned[], options: SenderOptions): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  const accepted = new Set<string>()
  const lanes = new Map<string, Promise<void>>()
  const running = new Set<Promise<void>>()
  const start = performance.now()
  try {
    for (const planned of plan) {
      const early = planned.at - (performance.now() - start)
      if (early > 0) await pause(early, options)
      while (running.size >= atOnce) await Promise.race(running)
      options.signal.throwIfAborted()
      const before = planned.lane === undefined ? undefined : lanes.get(planned.lane)
      const job = (before ?? Promise.resolve()).then(() => deliver(planned, options, agent, accepted))
      if (planned.lane !== undefined) lanes.set(planned.lane, job)
      running.add(job)
      void job.then(
        () => running.delete(job),
        () => {},
      )
    }
    await Promise.all(running)
  } finally {
    agent.destroy()
    await Promise.allSettled(running)
  }
}

async function deliver(planned: Planned, options: SenderOptions, agent: Agent, accepted: Set<string>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const sent = performance.now()
    const answer = await post(planned, options, agent)
    const ms = performance.now() - sent
    const common = { planned, attempts: attempt, ms, status: answer?.status, code: answer?.code }
    if (answer && answer.status >= 200 && answer.status < 300) {
      const id = `${planned.provider} ${planned.id}`
      const outcome = accepted.has(id) ? 'duplicate' : 'accepted'
      accepted.add(id)
      return options.told({ ...common, outcome })
    }
    const forGood = answer && answer.status >= 300 && answer.status < 500 && ![408, 425, 429].includes(answer.status)
    if (forGood) return options.told({ ...common, outcome: 'refused' })
    if (attempt === mostAttempts) return options.told({ ...common, outcome: 'unanswered' })
    await pause(Math.min(1_000, 100 * 2 ** Math.min(attempt, 5)), options)
  }
}

function pause(ms: number, options: SenderOptions): Promise<unknown> {
  const { signal } = options
  return options.wait ? options.wait(ms, signal) : timer(ms, undefined, { signal })
}

type Answer = { readonly status: number; readonly code: string | undefined }

/** One attempt; undefined when there was no complete answer, whatever the reason: a provider cannot tell either. */
function post(planned: Planned, options: SenderOptions, agent: Agent): Promise<Answer | undefined> {
  const { headers, body, path } = dress(planned, options.secrets[planned.provider])
  return new Promise((resolve) => {
    const outgoing = request(
      new URL(path, options.address()),
      {
        method: 'POST',
        agent,
        signal: AbortSignal.any([options.signal, AbortSignal.timeout(patience)]),
        headers: { 'content-type': 'application/json', 'content-length': body.length, ...headers },
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', () => resolve(undefined))
        incoming.on('end', () => {
          resolve({ status: incoming.statusCode ?? 0, code: codeOf(Buffer.concat(chunks).toString()) })
        })
        incoming.on('close', () => resolve(undefined))
      },
    )
    outgoing.on('error', () => resolve(undefined))
    outgoing.end(body)
  })
}

/** The request as it goes out: what is wrong with it is made wrong here, after or instead of the right signature. */
function dress(planned: Planned, secret: string): { headers: Record<string, string>; body: Uint8Array; path: string } {
  const now = Math.floor(Date.now() / 1000)
  const path = planned.manner === 'unknown-path' ? '/hooks/nobody' : paths[planned.provider]
  const right = { headers: signed(planned, secret, now), body: planned.body, path }
  const spoil: Partial<Record<Manner, () => typeof right>> = {
    'wrong-secret': () => ({ ...right, headers: signed(planned, wrongKey, now) }),
    stale: () => ({ ...right, headers: signed(planned, secret, now - 3_600) }),
    'flipped-byte': () => {
      const body = Buffer.from(planned.body)
      const middle = body.length >> 1
      body[middle] = (body[middle] ?? 0) ^ 1
      return { ...right, body }
    },
    unsigned: () => {
      const headers = { ...right.headers }
      delete headers[signatureHeader[planned.provider]]
      return { ...right, headers }
    },
  }
  return spoil[planned.manner]?.() ?? right
}

const wrongKey = `whsec_${randomBytes(32).toString('base64')}`

/** The code of a problem document (RFC 9457): our extension member `code`, else the end of its `type`. */
function codeOf(text: string): string | undefined {
  try {
    const { code, type } = JSON.parse(text) as { code?: unknown; type?: unknown }
    if (typeof code === 'string') return code
    return typeof type === 'string' ? type.slice(type.lastIndexOf('/') + 1) : undefined
  } catch {
    return undefined
  }
}
