import { Buffer } from 'node:buffer'
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Random } from '#kernel/random.ts'

/** What strace is asked to record: everything that changes files, and what makes it durable. */
export const traced = [
  '-f',
  '-y',
  '-xx',
  '-s',
  '8192',
  '-e',
  'signal=none',
  '-e',
  'trace=openat,pwrite64,write,ftruncate,unlink,unlinkat,fsync,fdatasync',
]

/** How many of the changes that were not synced a power cut keeps. */
export type Kept = 'none' | 'all' | 'some' | 'sectors'

type Change = { readonly at: number; readonly data: Buffer } | { readonly size: number }
type Image = { durable: Buffer; pending: Change[] }
type Naming = { readonly name: string; readonly image: Image | undefined }
type Event =
  | { readonly do: 'change'; readonly path: string; readonly change: Change }
  | { readonly do: 'create' | 'remove'; readonly path: string }
  | { readonly do: 'sync begins' | 'sync ends'; readonly path: string; readonly thread: string; readonly by: string }
  | { readonly do: 'said'; readonly text: string }

/**
 * A disk that keeps what was synced and nothing else for sure: files are changed by the recorded calls, a sync makes
 * durable what had been written to its file when it began (for a folder: which names there are), and a power cut keeps any
 * part of the rest, down to single sectors of 512 bytes, in no order. `ignore`: a kind of sync that is taken as not done.
 */
export class Disk {
  readonly #folder: string
  readonly #events: readonly Event[]
  readonly #ignore: string | undefined
  readonly #names = new Map<string, Image>()
  readonly #durableNames = new Map<string, Image>()
  #pendingNames: Naming[] = []
  readonly #syncs = new Map<string, () => void>()
  #at = 0
  /** Lines that the process had said by now. */
  readonly said: string[] = []

  constructor(folder: string, trace: string, ignore?: string) {
    this.#folder = folder
    this.#events = parse(trace)
    this.#ignore = ignore
  }

  get length(): number {
    return this.#events.length
  }

  /** Runs up to, but not including, event number `to`. */
  run(to: number): void {
    for (; this.#at < to; this.#at++) this.#apply(this.#events[this.#at]!)
  }

  /** Writes into `folder` what a power cut at this moment could leave. */
  cut(folder: string, kept: Kept, random: Random): void {
    mkdirSync(folder)
    const survives = (): boolean => kept === 'all' || (kept !== 'none' && random.float() < 0.5)
    const names = new Map(this.#durableNames)
    for (const { name, image } of this.#pendingNames) {
      if (!survives()) continue
      if (image) names.set(name, image)
      else names.delete(name)
    }
    for (const [name, image] of names) {
      let data = image.durable
      for (const change of image.pending) {
        if (kept === 'sectors' && 'data' in change) {
          for (let from = 0; from < change.data.length;) {
            const to = from + 512 - ((change.at + from) % 512)
            if (survives()) data = changed(data, { at: change.at + from, data: change.data.subarray(from, to) })
            from = to
          }
        } else if (survives()) data = changed(data, change)
      }
      writeFileSync(join(folder, name), data)
    }
  }

  #apply(e: Event): void {
    if (e.do === 'said') return void this.said.push(...e.text.split('\n').filter((line) => line !== ''))
    const name = basename(e.path)
    // The index of the log is memory shared between processes: it is made anew by whoever opens after a crash.
    if (name.endsWith('-shm')) return
    const inside = dirname(e.path) === this.#folder
    if (e.do === 'sync ends') return this.#syncs.get(e.thread)?.()
    if (e.do === 'sync begins') {
      this.#syncs.set(e.thread, () => {})
      if (e.by === this.#ignore || (!inside && e.path !== this.#folder)) return
      this.#syncs.set(e.thread, inside ? this.#syncOf(this.#names.get(name)!) : this.#syncOfNames())
      return
    }
    if (!inside) return
    if (e.do === 'change') this.#names.get(name)!.pending.push(e.change)
    else if (e.do === 'remove' ? this.#names.has(name) : !this.#names.has(name)) {
      const image = e.do === 'remove' ? undefined : { durable: Buffer.alloc(0), pending: [] }
      if (image) this.#names.set(name, image)
      else this.#names.delete(name)
      this.#pendingNames.push({ name, image })
    }
  }

  #syncOf(image: Image): () => void {
    const covered = new Set(image.pending)
    return () => {
      for (const change of image.pending) if (covered.has(change)) image.durable = changed(image.durable, change)
      image.pending = image.pending.filter((c) => !covered.has(c))
    }
  }

  #syncOfNames(): () => void {
    const covered = new Set(this.#pendingNames)
    return () => {
      for (const { name, image } of covered) {
        if (image) this.#durableNames.set(name, image)
        else this.#durableNames.delete(name)
      }
      this.#pendingNames = this.#pendingNames.filter((n) => !covered.has(n))
    }
  }
}

function changed(before: Buffer, change: Change): Buffer {
  const size = 'size' in change ? change.size : Math.max(before.length, change.at + change.data.length)
  const after = Buffer.alloc(size)
  before.copy(after)
  if ('data' in change) change.data.copy(after, change.at)
  return after
}

/** A write counts from when it has returned, a sync for what had returned when it began, a word from when it was begun. */
function parse(trace: string): Event[] {
  const events: Event[] = []
  const begun = new Map<string, string>()
  for (const line of trace.split('\n')) {
    const match = /^(\d+) +(.*)$/.exec(line)
    if (!match) continue
    const thread = match[1]!
    let call = match[2]!
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(call)
    if (resumed) call = begun.get(thread)! + resumed[1]!
    const unfinished = call.endsWith(' <unfinished ...>')
    if (unfinished) begun.set(thread, (call = call.slice(0, -' <unfinished ...>'.length)))
    const name = /^(\w+)\(/.exec(call)?.[1]
    if (name === undefined) continue // the end of a thread
    const path = decode(/^\w+\((?:\d+|AT_FDCWD)<([^>]*)>/.exec(call)?.[1] ?? '')
    const text = /"([^"]*)"/.exec(call)?.[1] ?? ''
    if (name === 'fsync' || name === 'fdatasync') {
      if (!resumed) events.push({ do: 'sync begins', path, thread, by: name })
      if (!unfinished && /\) += 0$/.test(call)) events.push({ do: 'sync ends', path, thread, by: name })
    } else if (name === 'write') {
      if (!resumed && call.startsWith('write(1<')) events.push({ do: 'said', text: decode(text) })
    } else if (unfinished || /\) += -1 /.test(call)) continue
    else if (name === 'pwrite64') {
      const [, size, at] = /, (\d+), (\d+)\) += \d+$/.exec(call)!
      const data = bytes(text)
      if (data.length !== Number(size)) throw new Error(`the trace holds ${data.length} of ${size} bytes`)
      events.push({ do: 'change', path, change: { at: Number(at), data } })
    } else if (name === 'ftruncate') {
      events.push({ do: 'change', path, change: { size: Number(/, (\d+)\) += 0$/.exec(call)![1]) } })
    } else if (name === 'openat') {
      if (call.includes('O_CREAT')) events.push({ do: 'create', path: decode(text) })
    } else events.push({ do: 'remove', path: decode(text) })
  }
  return events
}

function bytes(escaped: string): Buffer {
  return Buffer.from(escaped.replaceAll('\\x', ''), 'hex')
}

/** Depending on its version strace escapes paths, too. */
function decode(text: string): string {
  return text.replaceAll(/(?:\\x[0-9a-f]{2})+/g, (escaped) => bytes(escaped).toString())
}
