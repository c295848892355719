import { join } from 'node:path'
import { fault, isFault } from '#kernel/fault.ts'
import { parseJsonText } from '#kernel/json.ts'
import type { Files } from '#kernel/runtime.ts'
import { SecretCache, type Document, type Source } from './cache.ts'
import { commonOptions, type CommonOptions } from './options.ts'
import type { SecretsAdapter } from './port.ts'

export type FileSecretsOptions = CommonOptions & {
  /**
   * Reads files that every user of the machine may read as well. For containers that nobody else shares and whose mounts
   * cannot be given another mode.
   */
  readonly insecure?: 'allow-readable-by-others'
}

/** Largest file, bytes. */
const largest = 1_048_576
const name = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}$/

/**
 * Secrets from files. `path` is a folder with one file a secret, as Kubernetes and Docker mount them (`secret('payments-key')` is
 * the file `payments-key`; one line break at its end is not part of it), or a file: JSON (`{ "PAYMENTS_KEY": "…" }`) when it
 * begins with `{`, else lines of `PAYMENTS_KEY=…` (`#` begins a comment line; quotes around the whole value are taken off,
 * and nothing is expanded).
 *
 * Two valid values while one is rotated: the older one stands under the same name with `.previous` behind it. A change is
 * seen within twice `refresh` (default 1 s) and needs no restart: what is read is what the path leads to at that time, so a
 * file replaced by renaming and a swapped link are whole, old or new. A file that is empty or broken, as one being
 * written in place may be, leaves the last good values for `keep` (default 5 min). Replace by renaming all the same.
 *
 * Rejects with `config.secret` for a file that is not there or that others may read or write (mode `& 0o007`; not checked on Windows):
 * in Kubernetes set `defaultMode: 0440` and an `fsGroup`, in Docker `mode: 0400`. Files of at most 1 MiB.
 *
 * @example
 * fairlead({ secrets: fileSecrets('/run/secrets'), use: [payments] })
 */
export function fileSecrets(path: string, options: FileSecretsOptions = {}): SecretsAdapter {
  const problems =
    options.insecure === undefined || options.insecure === 'allow-readable-by-others'
      ? []
      : [{ path: 'fileSecrets.insecure', message: 'is unknown', fix: "use 'allow-readable-by-others' or nothing" }]
  if (typeof path !== 'string' || path === '') {
    problems.push({ path: 'fileSecrets', message: 'has no path', fix: "pass '/run/secrets' or './secrets.json'" })
  }
  const common = commonOptions('fileSecrets', options, { refresh: '1s', keep: '5m' }, ['insecure'], problems)
  return Object.freeze({
    kind: 'file',
    async open(runtime) {
      const shared = options.insecure !== undefined
      const folder = await isFolder(runtime.files, path)
      const source = folder ? folderSource(path, runtime.files, shared) : fileSource(path, runtime.files, shared)
      const cache = new SecretCache(source, common, runtime)
      return { read: (n) => cache.read(n), [Symbol.asyncDispose]: () => Promise.resolve() }
    },
  } satisfies SecretsAdapter)
}

async function isFolder(files: Files, path: string): Promise<boolean> {
  try {
    return (await files.stat(path)).kind === 'folder'
  } catch (cause) {
    throw fault('config.secret', { message: `the secrets at ${path} cannot be opened`, detail: { path }, cause })
  }
}

function folderSource(path: string, files: Files, shared: boolean): Source {
  return {
    kind: 'file',
    locate: (address) => {
      const [item = '', ...field] = address.split('#')
      if (!name.test(item) || item.endsWith('.previous')) return undefined
      return field.length === 0 ? { item } : { item, field: field.join('#') }
    },
    async fetch(item) {
      const current = await text(files, join(path, item), shared)
      if (current === undefined) throw fault('config.secret', { message: `there is no file ${join(path, item)}` })
      if (current === '') throw fault('secret.unavailable', { message: `the file ${join(path, item)} is empty` })
      const previous = await text(files, join(path, `${item}.previous`), shared)
      return previous ? [current, previous] : [current]
    },
  }
}

function fileSource(path: string, files: Files, shared: boolean): Source {
  return {
    kind: 'file',
    locate: (address) =>
      name.test(address) && !address.endsWith('.previous') ? { item: path, field: address } : undefined,
    async fetch() {
      const content = await text(files, path, shared)
      if (content === undefined) throw fault('config.secret', { message: `there is no file ${path}` })
      const all = content.trimStart().startsWith('{') ? fromJson(path, content) : fromLines(path, content)
      const previous: Record<string, unknown> = {}
      for (const [key, value] of Object.entries(all)) {
        if (key.endsWith('.previous')) previous[key.slice(0, -'.previous'.length)] = value
      }
      return [all, previous] satisfies Document[]
    },
  }
}

/** Without one line break at its end; undefined when there is no such file. */
async function text(files: Files, path: string, shared: boolean): Promise<string | undefined> {
  try {
    const { kind, bytes, mode } = await files.stat(path)
    if (kind !== 'file') throw fault('config.secret', { message: `${path} is not a file` })
    if (bytes > largest) throw fault('config.secret', { message: `${path} is larger than ${largest} bytes` })
    if (!shared && mode !== undefined && (mode & 0o007) !== 0) {
      throw fault('config.secret', {
        message: `${path} may be read or written by every user of this machine (mode ${mode.toString(8)}): chmod o= it`,
        detail: { path },
      })
    }
    return (await files.read(path)).replace(/\r?\n$/, '')
  } catch (e) {
    if (isFault(e)) throw e
    const { code } = e as { readonly code?: unknown }
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    const message = `the file ${path} cannot be read (${typeof code === 'string' ? code : 'error'})`
    // We have no right to it: waiting does not help.
    throw fault(code === 'EACCES' || code === 'EPERM' ? 'config.secret' : 'secret.unavailable', { message, cause: e })
  }
}

function fromJson(path: string, content: string): Readonly<Record<string, unknown>> {
  try {
    // It begins with a brace, so it is an object or no JSON.
    return parseJsonText(content) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw fault('secret.unavailable', { message: `the file ${path} is not JSON`, cause })
  }
}

function fromLines(path: string, content: string): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const [i, raw] of content.split(/\r?\n/).entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const at = line.indexOf('=')
    const key = line.slice(0, Math.max(at, 0)).trim()
    if (!name.test(key)) {
      throw fault('secret.unavailable', { message: `line ${i + 1} of the file ${path} is not NAME=value` })
    }
    if (key in found) throw fault('secret.unavailable', { message: `the file ${path} has ${key} twice` })
    const value = line.slice(at + 1).trim()
    const quoted = /^(["'])(.*)\1$/.exec(value)
    found[key] = quoted ? quoted[2] : value
  }
  return found
}
