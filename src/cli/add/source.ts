import { readFile, realpath, stat } from 'node:fs/promises'
import { dirname, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import type { HttpOut } from '#kernel/http.ts'
import { bounds, isPlain, readText, type Plain } from './read.ts'
import { absolute, type Documents } from './refs.ts'

/** Most other documents that one may refer to. */
const most = 50

export type Loaded = { readonly documents: Documents; readonly text: string }

/**
 * Reads the description that a person named: a file, or an https address (http to this machine). Nothing else is asked for:
 * redirects are not followed, and references to other documents are read with `allowRefs` only, from below the folder of a
 * file or from the same origin. At most 64 MiB each. Throws `add.document`, `add.fetch`, `add.reference`.
 */
export async function load(source: string, http: HttpOut, allowRefs: boolean): Promise<Loaded> {
  const root = addressOf(source)
  const text = await read(root, http)
  const doc = readText(text, source)
  const all = new Map([[root, doc]])
  if (allowRefs) await readOthers(root, doc, all, http)
  return { documents: { root, all }, text }
}

function addressOf(source: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(source) ? URL.parse(source) : null
  if (!url) return pathToFileURL(resolve(source)).href
  if (url.protocol === 'file:') return url.href
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    throw fault('cli.usage', {
      message: `${source.slice(0, 200)} cannot be asked for over ${url.protocol.replace(':', '')}`,
      detail: { fix: 'use https://, or save the document and name the file' },
    })
  }
  if (url.username !== '' || url.password !== '') {
    throw fault('cli.usage', {
      message: 'the address holds a password, which would be written into the file',
      detail: { fix: 'fetch the document yourself and name the file' },
    })
  }
  url.hash = ''
  return url.href
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function read(address: string, http: HttpOut): Promise<string> {
  return address.startsWith('file:') ? readLocal(fileURLToPath(address)) : fetched(address, http)
}

async function readLocal(path: string): Promise<string> {
  try {
    const found = await stat(path)
    if (!found.isFile()) throw unreadable(path, 'is not a file', 'name the JSON or YAML file itself')
    if (found.size > bounds.bytes) throw unreadable(path, 'is larger than 64 MiB', 'cut it down to what is called')
    return decoded(await readFile(path), path)
  } catch (cause) {
    if (isFault(cause)) throw cause
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw unreadable(
      path,
      absent ? 'does not exist' : 'cannot be read',
      absent ? 'correct the path' : 'check its rights',
      cause,
    )
  }
}

function decoded(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw unreadable(where, 'is not UTF-8 text', 'name the JSON or YAML of the description, in UTF-8', cause)
  }
}

async function fetched(address: string, http: HttpOut): Promise<string> {
  const url = new URL(address)
  const response = await http
    .send({
      method: 'GET',
      origin: url.origin,
      path: url.pathname + url.search,
      headers: {
        accept: 'application/vnd.oai.openapi+json, application/json, application/yaml, */*;q=0.1',
        'accept-encoding': 'identity',
        'user-agent': 'fairlead',
      },
      pool: 'add',
      timeouts: { connect: 10_000, firstByte: 30_000, total: 120_000 },
      maxBytes: bounds.bytes,
    })
    .catch((cause: unknown) => {
      throw unfetched(address, reasonOf(cause), cause)
    })
  const { status, headers, body } = response
  if (status >= 300 && status < 400) {
    const to = URL.parse(headers['location'] ?? '', address)?.href.slice(0, 300)
    throw fault('add.fetch', {
      message: `${address} leads to ${to ?? 'another address'}`,
      detail: { fix: to === undefined ? 'find the address of the document' : `if you trust it: fairlead add ${to}` },
    })
  }
  if (status === 401 || status === 403) throw unfetched(address, `it asks for a login (${status})`)
  if (status < 200 || status >= 300) throw unfetched(address, `the answer is ${status}`)
  return decoded(body, address)
}

function reasonOf(e: unknown): string {
  if (!isFault(e)) return 'it failed'
  if (e.code === 'connection.response' && e.detail['reason'] === 'too-large') return 'it is larger than 64 MiB'
  return e.message.replace(/\.$/, '')
}

function unfetched(address: string, why: string, cause?: unknown): Fault {
  return fault('add.fetch', {
    message: `${address} could not be fetched: ${why}`,
    ...(cause === undefined ? {} : { cause }),
  })
}

function unreadable(where: string, what: string, fix: string, cause?: unknown): Fault {
  return fault('add.document', {
    message: `${where} ${what}`,
    detail: { fix },
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Everything that is referred to, and what that refers to: near the root document, or refused. */
async function readOthers(root: string, first: Plain, all: Map<string, Plain>, http: HttpOut): Promise<void> {
  const waiting: (readonly [string, Plain])[] = [[root, first]]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const ref of refsIn(next[1])) {
      const { uri } = absolute(ref, next[0])
      if (all.has(uri)) continue
      await checkNear(root, uri, ref)
      if (all.size > most) {
        throw fault('add.limit', {
          message: `the document refers to more than ${most} others`,
          detail: { fix: 'bundle them into one' },
        })
      }
      const doc = readText(await read(uri, http), uri)
      all.set(uri, doc)
      waiting.push([uri, doc])
    }
  }
}

/** A document may have been written by anybody: it does not decide what else on this machine or network is read. */
async function checkNear(root: string, uri: string, ref: string): Promise<void> {
  const far = (): Error =>
    fault('add.reference', {
      message: `the document refers to ${JSON.stringify(ref.slice(0, 200))}, which is not beside it`,
      detail: { fix: 'only documents in its own folder, or of its own host, are read; bundle them into one' },
    })
  if (!root.startsWith('file:')) {
    if (URL.parse(uri)?.origin !== new URL(root).origin) throw far()
    return
  }
  if (!uri.startsWith('file:')) throw far()
  const folder = await realpath(dirname(fileURLToPath(root)))
  // A link may lead out of the folder: decided on where it ends.
  const target = await realpath(fileURLToPath(uri)).catch(() => fileURLToPath(uri))
  if (!target.startsWith(folder.endsWith(sep) ? folder : folder + sep)) throw far()
}

function refsIn(doc: Plain): Set<string> {
  const found = new Set<string>()
  const waiting: unknown[] = [doc]
  const push = (value: unknown): void => {
    if (typeof value === 'object' && value !== null) waiting.push(value)
  }
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (Array.isArray(node)) for (const value of node) push(value)
    else if (isPlain(node)) {
      const ref = node['$ref']
      if (typeof ref === 'string' && !ref.startsWith('#')) found.add(ref)
      for (const value of Object.values(node)) push(value)
    }
  }
  return found
}
