/**
 * A server as a child of this process: in a process group of its own under a shell that watches our end of a pipe. However
 * this process ends, SIGKILL included, the pipe closes and the group is gone; when the server ends by itself, the group too.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

export interface Server {
  /** Process id at the head of its tree. */
  readonly pid: number
  readonly port: number
  /** Its data and its log; removed with it. */
  readonly folder: string
  [Symbol.asyncDispose](): Promise<void>
}

export type ServerOptions = {
  readonly name: string
  readonly port: number
  /** From `serverFolder`. */
  readonly folder: string
  /** Command lines; all belong to the server, the last one is the one that answers at `port`. */
  readonly commands: readonly (readonly string[])[]
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds until it must answer. Default 60,000. */
  readonly within?: number
}

const watch = `
for command in "$@"; do { sh -c "$command"; kill -KILL 0; } </dev/null & done
read -r _
kill -KILL 0`

/** Starts it and waits until its port takes connections. Throws, with the end of its log, when it does not. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { name, port, folder } = options
  const log = join(folder, 'server.log')
  const out = createWriteStream(log)
  await once(out, 'open')
  const child = spawn('sh', ['-c', watch, 'sh', ...options.commands.map((c) => c.map(quoted).join(' '))], {
    detached: true,
    cwd: folder,
    stdio: ['pipe', out, out],
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, LC_ALL: 'C', ...options.env },
  })
  const ended = once(child, 'exit')
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  const stop = async (): Promise<void> => {
    process.off('exit', remove)
    child.stdin?.destroy()
    await ended
    out.destroy()
    remove()
  }
  process.once('exit', remove)
  const until = Date.now() + (options.within ?? 60_000)
  while (!(await answers(port))) {
    if (child.exitCode === null && child.signalCode === null && Date.now() < until) continue
    const said = readFileSync(log, 'utf8').slice(-4_000)
    await stop()
    throw new Error(`${name} did not start:\n${said}`)
  }
  return { pid: child.pid!, port, folder, [Symbol.asyncDispose]: stop }
}

export function serverFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `fairlead-${name}-`))
}

/** The path of a program on this machine; undefined: it is not installed. */
export function installed(program: string): string | undefined {
  const found = spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin"; command -v "$0"`, program], { encoding: 'utf8' })
  return found.status === 0 ? found.stdout.trim() : undefined
}

/** Ports of the loopback that are free now, each another one. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await once(server.listen(0, '127.0.0.1'), 'listening')
      return server
    }),
  )
  const ports = servers.map((s) => (s.address() as { port: number }).port)
  await Promise.all(servers.map((s) => once(s.close(), 'close')))
  return ports
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** One try, and a pause of 20 ms when it failed. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 20))
    return false
  } finally {
    socket.destroy()
  }
}
