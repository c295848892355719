import { Buffer } from 'node:buffer'
import { fault } from '#kernel/fault.ts'
import type { HttpOut } from '#kernel/http.ts'

/** The shape in which the protocol library asks for its transport. */
export type Fetch = (
  url: string,
  options: {
    readonly method: string
    readonly headers: Record<string, string>
    readonly body?: URLSearchParams | undefined
  },
) => Promise<Response>

/** Milliseconds. Well below the time for which one process of the fleet may renew alone. */
const timeouts = { connect: 3_000, firstByte: 10_000, total: 15_000 }
const maxBytes = 262_144

/**
 * The one door out as a fetch, for the authorization server only: sockets of its own, no redirects, 15 s, 256 KiB. What
 * says nothing about us (429, 5xx, no answer) throws `connection.token`; a refusal is an answer.
 */
export function authorizationServerFetch(http: Pick<HttpOut, 'send'>, connection: string): Fetch {
  return async (url, { method, headers, body }) => {
    const { origin, pathname, search } = new URL(url)
    const answer = await http.send({
      method,
      origin,
      path: pathname + search,
      headers: { ...headers, 'accept-encoding': 'identity', 'user-agent': 'fairlead' },
      ...(body === undefined ? {} : { body: body.toString() }),
      pool: `${connection}/token`,
      timeouts,
      maxBytes,
    })
    const { status } = answer
    if (status === 408 || status === 429 || status >= 500) {
      throw fault('connection.token', { detail: { connection, status }, ...retryAfter(answer.headers['retry-after']) })
    }
    const type = answer.headers['content-type'] ?? 'application/octet-stream'
    const bodiless = status === 204 || status === 205 || status === 304
    const text = method === 'POST' ? lenient(answer.body) : { body: Buffer.from(answer.body).toString('utf8') }
    return new Response(bodiless ? null : text.body, {
      status: status === 200 && text.refused ? 400 : status,
      headers: { 'content-type': text.json ? 'application/json' : type },
    })
  }
}

function retryAfter(value: string | undefined): { readonly retryAfter?: number } {
  return value !== undefined && /^\d{1,4}$/.test(value) ? { retryAfter: Number(value) * 1_000 } : {}
}

/**
 * Token answers as they come, within what can only be meant one way: an error inside a 200 is a refusal, a missing token type
 * is Bearer, a refresh token of null is none. Nobody logs in here, so an ID token is not looked at.
 */
function lenient(body: Uint8Array): { readonly body: string; readonly refused?: boolean; readonly json?: boolean } {
  const text = Buffer.from(body).toString('utf8')
  let answer: Record<string, unknown>
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return { body: text }
    answer = { ...parsed }
  } catch {
    return { body: text }
  }
  delete answer['id_token']
  for (const name of ['refresh_token', 'scope', 'expires_in']) if (answer[name] === null) delete answer[name]
  const refused = typeof answer['error'] === 'string' && answer['access_token'] === undefined
  if (!refused) answer['token_type'] ??= 'Bearer'
  return { body: JSON.stringify(answer), refused, json: true }
}
