import crypto from 'node:crypto'
import dns from 'node:dns'
import fs from 'node:fs'
import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import timers from 'node:timers'
import timersPromises from 'node:timers/promises'

/** The one thing of the host that the harness itself needs in a run: a turn of the loop. */
const realImmediate = globalThis.setImmediate

/** Resolves when everything that is ready now has happened. */
export function turn(): Promise<void> {
  return new Promise((resolve) => realImmediate(resolve))
}

export type Guards = {
  /** What was reached beside the Runtime, with where from. The call itself threw, but an engine that catches everything may have caught that. */
  readonly breaches: readonly string[]
  /** Gives the host its own back. Idempotent. */
  restore(): void
}

/** Answers `fdatasync`, the one thing of the system that the store waits for. */
export type Sync = (fd: number, done: (e: NodeJS.ErrnoException | null) => void) => void

/** What the simulation does in the system's place. */
export type Files = { readonly fdatasync: Sync; readonly opened: (fd: number, path: unknown) => void }

/** Whether a run is under way: two at once would share the globals. */
let installed = false

/**
 * For the time of a run, whatever bypasses the Runtime (clocks, timers, dice, sockets of the host) throws and is remembered:
 * the seed would not decide it. `fdatasync` is answered by the simulation, which is told of files that are opened to be synced.
 */
export function guard(files: Files): Guards {
  if (installed) throw new Error('a simulated run is under way in this process: one at a time')
  installed = true
  const breaches: string[] = []
  const undo: (() => void)[] = []
  const set = (target: object, name: string, value: unknown): void => {
    const before = Object.getOwnPropertyDescriptor(target, name)
    Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: true })
    undo.push(() => {
      if (before) Object.defineProperty(target, name, before)
      else Reflect.deleteProperty(target, name)
    })
  }
  const stub = (name: string): ((...args: unknown[]) => never) => {
    return () => {
      const e = new Error(`${name} was called in a simulated run: everything of the host comes in through the Runtime`)
      breaches.push(`${name} ${(e.stack ?? '').split('\n').slice(2, 5).join(' ')}`)
      throw e
    }
  }
  const forbid = (target: object, of: string, names: readonly string[]): void => {
    for (const name of names) if (name in target) set(target, name, stub(of === '' ? name : `${of}.${name}`))
  }

  const RealDate = globalThis.Date
  const now = stub('Date.now')
  const undated = stub('new Date()')
  set(
    globalThis,
    'Date',
    new Proxy(RealDate, {
      construct: (_, args: number[]) => (args.length === 0 ? undated() : new RealDate(...(args as [number]))),
      apply: stub('Date()'),
      get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
    }),
  )
  const arming = ['setTimeout', 'setInterval', 'setImmediate']
  forbid(globalThis, '', [...arming, 'fetch'])
  forbid(timers, 'timers', arming)
  forbid(timersPromises, 'timers/promises', arming)
  forbid(AbortSignal, 'AbortSignal', ['timeout'])
  forbid(performance, 'performance', ['now'])
  forbid(Math, 'Math', ['random'])
  const dice = ['randomBytes', 'randomFill', 'randomFillSync', 'randomInt', 'randomUUID', 'randomUUIDv7']
  forbid(crypto, 'crypto', dice)
  forbid(globalThis.crypto, 'crypto', ['getRandomValues', 'randomUUID'])
  forbid(net, 'net', ['connect', 'createConnection', 'createServer'])
  forbid(http, 'http', ['request', 'get', 'createServer'])
  forbid(dns, 'dns', ['lookup', 'resolve'])
  set(fs, 'fdatasync', files.fdatasync)
  const { openSync } = fs
  set(fs, 'openSync', (...args: Parameters<typeof openSync>) => {
    const fd = openSync(...args)
    files.opened(fd, args[0])
    return fd
  })
  syncBuiltinESMExports()

  return {
    breaches,
    restore: () => {
      if (undo.length === 0) return
      for (const put of undo.splice(0).reverse()) put()
      syncBuiltinESMExports()
      installed = false
    },
  }
}
