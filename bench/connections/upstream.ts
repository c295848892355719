import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'

/** The other side: so many origins in a child process that answer 1 KB of JSON without reading what is asked. */
export type Upstream = {
  readonly origins: readonly string[]
  /** From now on the last of them answers after so many milliseconds. */
  slow(ms: number): void
  close(): Promise<void>
}

export async function upstream(count = 1): Promise<Upstream> {
  const child = spawn(process.execPath, ['-e', server, String(count)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [ports] = (await once(child, 'message')) as [readonly number[]]
  return {
    origins: ports.map((port) => `http://127.0.0.1:${port}`),
    slow: (ms) => void child.send(ms),
    async close() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

const server = `
const items = Array.from({ length: 8 }, (_, i) => ({ id: 'ch_' + i, amount: i * 100, status: 'paid', note: 'x'.repeat(60) }))
const body = Buffer.from(JSON.stringify({ items, next: 'cursor' }))
const head = 'HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ndate: Sat, 21 Nov 2026 02:00:00 GMT\\r\\ncontent-length: '
const answer = Buffer.concat([Buffer.from(head + body.length + '\\r\\n\\r\\n'), body])
let wait = 0
const { once } = require('node:events')
const servers = Array.from({ length: Number(process.argv[1]) }, (_, i, all) => {
  const last = i === process.argv[1] - 1
  return require('node:net').createServer((socket) => {
    const write = () => void socket.write(answer)
    socket.setNoDelay(true).on('error', () => {}).on('data', () => {
      if (last && wait > 0) setTimeout(write, wait)
      else write()
    })
  })
})
process.on('message', (ms) => { wait = ms })
process.on('disconnect', () => process.exit())
Promise.all(servers.map((s) => once(s.listen(0, '127.0.0.1', 1024), 'listening'))).then(() => {
  process.send(servers.map((s) => s.address().port))
})
`
