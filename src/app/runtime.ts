import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { envSecrets } from '#adapters/secrets/env.ts'
import type { Cancel, Clock } from '#kernel/clock.ts'
import type { HttpOut } from '#kernel/http.ts'
import { uuid7 } from '#kernel/id.ts'
import type { Log } from '#kernel/log.ts'
import type { Random } from '#kernel/random.ts'
import { redactor } from '#kernel/redact.ts'
import type { Files, Runtime } from '#kernel/runtime.ts'

/** Longest delay of setTimeout; a longer wait is armed again. */
const longest = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  after,
  soon: (fn) => void setImmediate(fn),
}

function after(ms: number, fn: () => void): Cancel {
  let timer = setTimeout(ms > longest ? again : fn, Math.min(ms, longest))
  function again(): void {
    ms -= longest
    timer = setTimeout(ms > longest ? again : fn, Math.min(ms, longest))
  }
  return () => clearTimeout(timer)
}

export const systemRandom: Random = { float: () => Math.random(), bytes: (n) => randomBytes(n) }

export const systemFiles: Files = {
  read: (path) => readFile(path, 'utf8'),
  async stat(path) {
    const found = await stat(path)
    const kind = found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other'
    // Windows makes the bits up.
    return { kind, bytes: found.size, mode: process.platform === 'win32' ? undefined : found.mode & 0o777 }
  },
}

/** The real world. Everything that the core touches comes in through here. */
export function systemRuntime(given: { readonly http: HttpOut; readonly log: Log }): Omit<Runtime, 'store'> {
  return {
    clock: systemClock,
    random: systemRandom,
    ids: uuid7(systemClock, systemRandom),
    http: given.http,
    files: systemFiles,
    secrets: envSecrets(process.env),
    log: given.log,
    redact: redactor(),
    host: {
      name: hostname(),
      pid: process.pid,
      alive: (pid) => {
        try {
          process.kill(pid, 0)
          return true
        } catch (e) {
          return (e as NodeJS.ErrnoException).code === 'EPERM'
        }
      },
    },
  }
}
