import { brotliDecompress, brotliDecompressSync, gunzip, gunzipSync } from 'node:zlib'

/**
 * How much a body may grow when it is decoded: to `maxBytes`, and to 1,000 times its size where that is more than 1 MiB. Lists of
 * one shape were seen to grow 100 times in gzip and 350 times in br; gzip ends at 1,032, br does not.
 */
const leastBound = 1_048_576
const ratio = 1_000
/** Up to here decoding takes less than the way to another thread and back, and at most 2 ms if it is a bomb. */
const short = 2_048

export type Decoded =
  | { readonly body: Uint8Array }
  | { readonly reason: 'encoding' | 'too-large'; readonly cause: Error }

/** The content coding of these headers; undefined when there is none to undo. */
export function codingOf(headers: Readonly<Record<string, string>>): string | undefined {
  const coding = headers['content-encoding']
  return coding === undefined || coding === '' || coding === 'identity' ? undefined : coding.trim().toLowerCase()
}

/** Whether `decodeBody` can undo it: gzip or br, once. What is coded twice, or otherwise, is left as it is. */
export function decodable(coding: string): boolean {
  return coding === 'gzip' || coding === 'x-gzip' || coding === 'br'
}

/**
 * The body without its content coding, decoded in memory and within bounds: a bomb is given up at the bound, before it has
 * grown. Short bodies at once, longer ones on a thread of Node's pool.
 */
export function decodeBody(coding: string, body: Uint8Array, maxBytes: number, done: (decoded: Decoded) => void): void {
  const bound = { maxOutputLength: Math.max(1, Math.min(maxBytes, Math.max(leastBound, body.byteLength * ratio))) }
  if (body.byteLength > short) {
    const back = (error: Error | null, result: Uint8Array): void => done(error ? refused(error) : { body: result })
    if (coding === 'br') brotliDecompress(body, bound, back)
    else gunzip(body, bound, back)
    return
  }
  let result: Decoded
  try {
    result = { body: coding === 'br' ? brotliDecompressSync(body, bound) : gunzipSync(body, bound) }
  } catch (error) {
    result = refused(error as Error)
  }
  done(result)
}

function refused(cause: Error): Decoded {
  const tooLarge = (cause as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE'
  return { reason: tooLarge ? 'too-large' : 'encoding', cause }
}
