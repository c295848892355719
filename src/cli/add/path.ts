import { parseTemplate } from '#patterns/connections/template.ts'

/** A path of a description as the line of an operation: `/v1/charges/{charge}` → `/v1/charges/:charge`. */
export type Line = {
  readonly http: string
  /** Name in the description → name in the line. */
  readonly params: ReadonlyMap<string, string>
}

/**
 * `fixed` holds parameters whose value is known (a single value, a version with a default), used where a parameter stands
 * directly behind a letter (`/v{version}`), which a line cannot say. `prefixes` are what the styles `label` and `matrix`
 * put in front. A reason in place of a line when the path cannot be written.
 */
export function lineOf(
  method: string,
  path: string,
  fixed: ReadonlyMap<string, string>,
  prefixes: ReadonlyMap<string, string>,
  taken: ReadonlySet<string>,
): Line | string {
  if (path.length > 1_500) return 'its path is longer than 1,500 characters'
  if (path.includes('#')) return 'its path has a fragment'
  const [route, query = ''] = path.split('?', 2) as [string, string?]
  const params = new Map<string, string>()
  let out = ''
  let at = 0
  for (const found of route.matchAll(/\{([^{}/]{1,100})\}/g)) {
    const name = found[1]!.replace(/[*+]$/, '')
    out += encoded(route.slice(at, found.index), out)
    at = found.index + found[0].length
    const value = fixed.get(name)
    const prefix = prefixes.get(name) ?? ''
    const before = (out + prefix).at(-1) ?? ''
    if (/[A-Za-z0-9]/.test(before) || /^\w/.test(following(route.slice(at), prefixes))) {
      if (value === undefined) return `its parameter {${name}} stands directly beside other text`
      out += encodeURIComponent(value)
      continue
    }
    if (params.has(name)) return `its path uses {${name}} twice`
    const field = identifier(name, new Set([...params.values(), ...taken]))
    params.set(name, field)
    out += `${prefix}:${field}`
  }
  out += encoded(route.slice(at), out)
  const asked = query === '' ? '' : `?${query.replaceAll(/[^A-Za-z0-9\-._~!$&'()*+,;=:@%/?[\]]/g, encode)}`
  const http = `${method} ${out}${asked}`
  const template = parseTemplate(http)
  if ('problem' in template) return `its path ${template.problem}`
  return { http, params }
}

/** What follows a parameter in the line: text, or the prefix of the next one; a letter for a next one without. */
function following(rest: string, prefixes: ReadonlyMap<string, string>): string {
  const next = /^\{([^{}/]{1,100})\}/.exec(rest)
  if (!next) return rest.slice(0, 1)
  return prefixes.get(next[1]!) || 'a'
}

/** Literal text: what a path cannot hold is percent-encoded, and a colon that would begin a parameter too. */
function encoded(text: string, before: string): string {
  const clean = text.replaceAll(/%(?![0-9A-Fa-f]{2})/g, '%25').replaceAll(/[^A-Za-z0-9\-._~!$&'()*+,;=:@%/]/gu, encode)
  const all = before + clean
  return all
    .replaceAll(/(?<![A-Za-z0-9]):(?=[A-Za-z_]|$)/g, (colon, index: number) => (index < before.length ? colon : '%3A'))
    .slice(before.length)
}

function encode(c: string): string {
  return c.isWellFormed() ? encodeURIComponent(c) : '%EF%BF%BD'
}

function identifier(name: string, taken: ReadonlySet<string>): string {
  const clean = name.replaceAll(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_')
  let field = clean === '__proto__' || clean === '' ? 'value' : clean
  if (taken.has(field)) field = `path_${field}`
  for (let n = 2; taken.has(field); n++) field = `path_${clean}${n}`
  return field
}
