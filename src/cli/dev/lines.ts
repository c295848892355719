import type { Readable } from 'node:stream'

/** Longest line that is passed on; a longer one is cut. */
const longest = 65_536

/** Calls `line` for each line of a stream of UTF-8, the last one too when it has no line feed. */
export function eachLine(stream: Readable, line: (text: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop()!.slice(0, longest)
    for (const part of parts) line(part)
  })
  stream.on('end', () => {
    if (rest !== '') line(rest)
  })
}
