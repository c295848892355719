// 100 keep-alive connections that post signed events of about 1 KB, each as soon as its last was answered.
import { createHmac } from 'node:crypto'
import { connect } from 'node:net'
import { performance } from 'node:perf_hooks'
import process from 'node:process'

const [port, seconds] = process.argv.slice(2).map(Number) as [number, number]
const key = 'a secret that is long enough'
const now = Math.floor(Date.now() / 1000)
let made = 0

/** Signed ahead of the measurement: the generator shares the machine with the server. */
const requests = Array.from({ length: 60_000 }, () => {
  const n = made++
  const id = `evt_${Math.imul(n + process.pid, 2654435761).toString(36)}_${process.pid}_${n}`
  const object = {
    id: `ch_${n}`,
    amount: 990,
    currency: 'eur',
    description: 'x'.repeat(700),
    metadata: { order: `o${n}` },
  }
  const body = JSON.stringify({ id, type: 'charge.paid', created: now, data: { object } })
  const v1 = createHmac('sha256', key).update(`${now}.${body}`).digest('hex')
  return Buffer.from(
    `POST /hooks/payments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nStripe-Signature: t=${now},v1=${v1}\r\n\r\n${body}`,
  )
})

let done = 0
let bad = 0
let sent = 0
let stop = false
const times: number[] = []
for (let c = 0; c < 100; c++) {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  let at = 0
  const send = (): void => {
    at = performance.now()
    socket.write(requests[sent++ % requests.length]!)
  }
  socket.on('connect', send)
  socket.on('data', (d: Buffer) => {
    if (d[9] !== 0x32) bad++ // "HTTP/1.1 2"
    done++
    times.push(performance.now() - at)
    if (stop) socket.end()
    else send()
  })
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
await pause(1_000)
process.send!('begin')
done = 0
times.length = 0
const begun = performance.now()
await pause(seconds * 1_000)
const elapsed = (performance.now() - begun) / 1_000
stop = true
times.sort((a, b) => a - b)
process.send!({ perSecond: done / elapsed, p99: times[Math.floor(times.length * 0.99)], done, bad })
await pause(200)
process.exit()
