import { fault } from '#kernel/fault.ts'
import { camel } from './names.ts'
import { type Raw } from './operations.ts'
import { oneLine } from './text.ts'

export type Choice = {
  /** `charges.*`, `GET /v1/customers`: each with `*` for any text. */
  readonly only?: readonly string[]
  readonly tags?: readonly string[]
  readonly all?: boolean
}

/** More operations than this are not taken unless somebody asks for all of them. */
export const unasked = 100

/** An operation in the list to choose from. */
export type Listed = {
  readonly line: string
  readonly name: string
  readonly group: string
  readonly tags: readonly string[]
  readonly summary: string
}

export function listed(raw: Raw): Listed {
  const { node, method, path } = raw
  const id = typeof node['operationId'] === 'string' ? node['operationId'] : ''
  const tags = Array.isArray(node['tags']) ? node['tags'].filter((t): t is string => typeof t === 'string') : []
  return {
    line: `${method} ${path}`,
    name: camel(id) ?? camel(`${method.toLowerCase()} ${path}`) ?? 'call',
    group: tags[0] ?? resourceOf(path),
    tags,
    summary: oneLine(node['summary'] ?? node['description'], 100),
  }
}

/** `charges` of `/v1/charges/{charge}`: the first part of a path that is neither a version nor a parameter. */
function resourceOf(path: string): string {
  return path.split('/').find((s) => s !== '' && !s.startsWith('{') && !/^(?:v\d[\d.]*|api|rest)$/i.test(s)) ?? ''
}

/**
 * The operations that were asked for. Throws `cli.usage` for a pattern or tag that fits none, `add.choose` when there are
 * more than 100 and none was named.
 */
export function chosen(all: readonly Raw[], choice: Choice): Raw[] {
  const { only = [], tags = [] } = choice
  if (only.length === 0 && tags.length === 0) {
    if (all.length > unasked && choice.all !== true) throw tooMany(all)
    return [...all]
  }
  const places = all.map((raw) => ({ raw, listed: listed(raw), names: addresses(raw) }))
  const taken = new Set<Raw>()
  for (const pattern of only) {
    const fits = places.filter((p) => p.names.some((n) => matches(pattern, n)))
    if (fits.length === 0) throw nothing(`no operation fits ${JSON.stringify(pattern)}`)
    for (const p of fits) taken.add(p.raw)
  }
  for (const tag of tags) {
    const fits = places.filter((p) => p.listed.tags.some((t) => t.toLowerCase() === tag.toLowerCase()))
    if (fits.length === 0) throw nothing(`no operation has the tag ${JSON.stringify(tag)}`)
    for (const p of fits) taken.add(p.raw)
  }
  return all.filter((raw) => taken.has(raw))
}

/** All names under which an operation can be asked for. */
function addresses(raw: Raw): string[] {
  const { line, name, tags } = listed(raw)
  const id = typeof raw.node['operationId'] === 'string' ? raw.node['operationId'] : name
  const groups = [...tags, resourceOf(raw.path)].filter((g) => g !== '')
  return [line, id, name, ...groups.map((g) => `${g}.${name}`)]
}

/** Whether a text fits a pattern with `*`; letters of either case. In steps of one character, so that no pattern is slow. */
export function matches(pattern: string, text: string): boolean {
  const parts = pattern.toLowerCase().split('*')
  const all = text.toLowerCase()
  const first = parts[0]!
  const last = parts.at(-1)!
  if (parts.length === 1) return all === first
  if (!all.startsWith(first) || all.length < first.length + last.length || !all.endsWith(last)) return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = all.indexOf(part, at)
    if (found < 0 || found + part.length > all.length - last.length) return false
    at = found + part.length
  }
  return true
}

function nothing(message: string): Error {
  return fault('cli.usage', { message, detail: { fix: '--list shows what there is' } })
}

function tooMany(all: readonly Raw[]): Error {
  const groups = new Map<string, number>()
  for (const raw of all) {
    const { group } = listed(raw)
    groups.set(group, (groups.get(group) ?? 0) + 1)
  }
  const biggest = [...groups].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 12)
  const shown = biggest.map(([name, n]) => `${oneLine(name, 40)} (${n})`).join(', ')
  const example = oneLine(biggest[0]![0], 40)
  return fault('add.choose', {
    message: `the document describes ${all.length} operations: ${shown}${groups.size > 12 ? ', …' : ''}`,
    detail: { fix: `choose: --tag ${example}, --only '${example}.*,GET /…', or --all; --list shows every one` },
  })
}
