import type { StreamReply } from './stream-replies.ts'

/** What other people's API does with a call. A plain value is a 200 with it as JSON. */
export type Reply =
  | {
      readonly '~reply': 'http'
      readonly status: number
      readonly body: unknown
      readonly headers: Readonly<Record<string, string>>
    }
  /** The request was carried out, and then the connection was cut. */
  | { readonly '~reply': 'cut' }
  /** No answer ever comes: the caller's own limit ends it. */
  | { readonly '~reply': 'hang' }
  /** Nothing could be sent. */
  | { readonly '~reply': 'refused' }
  | StreamReply

/** `reply(429, {}, { 'retry-after': '2' })` */
export function reply(status: number, body: unknown = {}, headers: Readonly<Record<string, string>> = {}): Reply {
  return { '~reply': 'http', status, body, headers }
}
export const cut: Reply = { '~reply': 'cut' }
export const hang: Reply = { '~reply': 'hang' }
export const refused: Reply = { '~reply': 'refused' }
