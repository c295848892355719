import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { SecretValue } from '#kernel/secret.ts'
import { fairlead, type App } from '#app/fairlead.ts'

/** A request as it arrived. */
export type Seen = {
  readonly method: string
  readonly path: string
  /** Sorted `name=value`, decoded. */
  readonly query: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  /** JSON as its value, a form as sorted `name=value`, anything else as text; undefined when empty. */
  readonly body: unknown
}

export type Answer = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export type StandIn = {
  /** `http://127.0.0.1:…` */
  readonly origin: string
  readonly port: number
  readonly seen: Seen[]
  /** Decides about every request from now on. Default: 200 with `{}`. */
  answer: (request: Seen) => Answer
}

/** Somebody else's API on loopback: notes what it is asked, and answers what the test says. */
export async function standIn(t: TestContext): Promise<StandIn> {
  const state: StandIn = { origin: '', port: 0, seen: [], answer: () => ({}) }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const seen = seenOf(request, Buffer.concat(chunks).toString())
      state.seen.push(seen)
      const { status = 200, headers = {}, body = {} } = state.answer(seen)
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(body === undefined || status === 204 ? undefined : JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  const { port } = server.address() as AddressInfo
  return Object.assign(state, { port, origin: `http://127.0.0.1:${port}` })
}

/** An app in memory with these definitions, for calls over the real transport. Secrets have the values given. */
export async function appWith(
  t: TestContext,
  use: readonly unknown[],
  secrets: Readonly<Record<string, string>>,
): Promise<App> {
  const app = await fairlead({
    use,
    log: { write: () => undefined },
    secrets: { read: (name) => Promise.resolve([new SecretValue(name, secrets[name] ?? 'unset-secret')]) },
  })
  t.after(() => app[Symbol.asyncDispose]())
  return app
}

/** What two clients that ask for the same must have in common: method, path, query, body, and the header fields named. */
export function essence(seen: Seen | undefined, headers: readonly string[]): object {
  if (seen === undefined) return { nothing: 'was sent' }
  const { method, path, query, body } = seen
  return { method, path, query, body, headers: Object.fromEntries(headers.map((name) => [name, seen.headers[name]])) }
}

function seenOf(request: IncomingMessage, text: string): Seen {
  const url = new URL(request.url ?? '/', 'http://stand-in')
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
  const type = headers['content-type'] ?? ''
  const body =
    text === ''
      ? undefined
      : type.includes('json')
        ? (JSON.parse(text) as unknown)
        : type.includes('form-urlencoded')
          ? pairs(text)
          : text
  return { method: request.method ?? '', path: url.pathname, query: pairs(url.search.slice(1)), headers, body }
}

/** A list of plain values may be spelled with places or without. */
function pairs(text: string): readonly string[] {
  return [...new URLSearchParams(text)].map(([name, value]) => `${name.replace(/\[\d+\]$/, '[]')}=${value}`).toSorted()
}
