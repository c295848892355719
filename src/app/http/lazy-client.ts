import type { HttpOut } from '#kernel/http.ts'
import type { HttpClient, HttpClientOptions } from './client.ts'

/**
 * The HTTP client, loaded with the first call: undici costs 70 ms and 20 MiB, which a process that only receives, or one
 * that waits for its first message, need not pay.
 */
export function lazyClient(options: HttpClientOptions): HttpOut & { close(): Promise<void> } {
  let client: Promise<HttpClient> | undefined
  let ready: HttpClient | undefined
  const load = async (): Promise<HttpClient> => {
    const { httpClient } = await import('./client.ts')
    ready = httpClient(options)
    return ready
  }
  return {
    send(request) {
      if (ready) return ready.send(request)
      client ??= load()
      return client.then((c) => c.send(request))
    },
    stream(request) {
      if (ready) return ready.stream(request)
      client ??= load()
      return client.then((c) => c.stream(request))
    },
    async close() {
      await (await client)?.close()
    },
  }
}
