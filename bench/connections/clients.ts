import axios from 'axios'
import got from 'got'
import ky from 'ky'
import { Pool } from 'undici'

export type Client = { readonly call: () => Promise<unknown>; close(): Promise<void> }

/**
 * The same GET by other clients, bare: no retry, no limit, no schema; JSON parsed. Connections are kept alive, as many as there
 * are calls at once; all else as they come.
 */
export function clients(
  url: string,
  headers: Readonly<Record<string, string>>,
  concurrency: number,
): Record<string, Client> {
  const { origin, pathname, search } = new URL(url)
  const path = pathname + search
  const pool = (call: (pool: Pool) => Promise<unknown>): Client => {
    const own = new Pool(origin, { connections: concurrency })
    return { call: () => call(own), close: () => own.close() }
  }
  const shared = (call: () => Promise<unknown>): Client => ({ call, close: () => Promise.resolve() })
  return {
    dispatch: pool((own) => dispatch(own, path, headers)),
    request: pool(async (own) => (await own.request({ method: 'GET', path, headers })).body.json()),
    fetch: shared(async () => (await fetch(url, { headers })).json()),
    got: shared(() => got(url, { headers, retry: { limit: 0 } }).json()),
    axios: shared(async () => (await axios.get<unknown>(url, { headers })).data),
    ky: shared(() => ky(url, { headers, retry: 0 }).json()),
  }
}

function dispatch(pool: Pool, path: string, headers: Readonly<Record<string, string>>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    pool.dispatch(
      { method: 'GET', path, headers },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData: (_, chunk) => void chunks.push(chunk),
        onResponseEnd: () => resolve(JSON.parse((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString())),
        onResponseError: (_, error) => reject(error),
      },
    )
  })
}
