import { isPlain } from './read.ts'
import { oneLine } from './text.ts'

/** Address that nothing answers at (RFC 2606), where the description names none. */
const nowhere = 'https://replace-me.invalid'

export type Server = { readonly baseUrl: string; readonly remarks: readonly string[] }

/**
 * The base address: the first server with https, its variables at their defaults. `source` is the address of the document,
 * which relative ones are relative to; `given` is what the person asked for, and wins.
 */
export function serverOf(servers: readonly unknown[], source: string, given: string | undefined): Server {
  const urls = servers.slice(0, 50).map((s) => resolved(s, source))
  const found = urls.filter((u) => u !== undefined)
  if (given !== undefined) return { baseUrl: given, remarks: others(found, given) }
  const best = found.find((u) => u.startsWith('https:')) ?? found[0]
  if (best === undefined) {
    return { baseUrl: nowhere, remarks: ['the document names no server: put the address here, or run with --server'] }
  }
  if (best.startsWith('https:') || loopback(best)) return { baseUrl: best, remarks: others(found, best) }
  const remark = 'the document says http://, which everybody on the way can read; https:// is assumed'
  return { baseUrl: best.replace(/^http:/, 'https:'), remarks: [remark, ...others(found, best)] }
}

/** The address of a server entry, absolute and without what a base address cannot have. */
export function resolved(server: unknown, source: string): string | undefined {
  if (!isPlain(server) || typeof server['url'] !== 'string' || server['url'].length > 2_000) return undefined
  const variables = isPlain(server['variables']) ? server['variables'] : {}
  const text = server['url'].replaceAll(/\{([^{}]{1,100})\}/g, (whole, name: string) => {
    const about = Object.hasOwn(variables, name) ? variables[name] : undefined
    const value = isPlain(about)
      ? (about['default'] ?? (Array.isArray(about['enum']) ? about['enum'][0] : undefined))
      : undefined
    return typeof value === 'string' || typeof value === 'number' ? String(value) : whole.slice(1, -1)
  })
  const base = /^https?:/.test(source) ? source : undefined
  const url = URL.parse(text, base)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:') || url.username !== '' || url.password !== '') {
    return undefined
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

function others(found: readonly string[], best: string): string[] {
  const rest = [...new Set(found)].filter((u) => u !== best)
  return rest.length === 0 ? [] : [`other servers: ${oneLine(rest.slice(0, 5).join(', '), 300)}`]
}

function loopback(url: string): boolean {
  return /^http:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::|\/|$)/.test(url)
}
