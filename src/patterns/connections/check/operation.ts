import { checkName, checkOptions, type Problem } from '#kernel/definition.ts'
import { isSchema } from '#kernel/schema.ts'
import { placementProblems } from './placement.ts'
import { fieldsOf, headerProblems, isFieldName, isSpan } from './parts.ts'
import type { Operation, OperationSpec } from '../define.ts'
import { cacheProblems } from '../cache/define.ts'
import { fallbackProblems } from '../fallback/fallback.ts'
import { isSafe } from '../operation.ts'
import { documentOf, graphqlProblems } from '../protocols/graphql/options.ts'
import { grpcProblems } from '../protocols/grpc/options.ts'
import { soapProblems } from '../protocols/soap/options.ts'
import { streamProblems } from '../protocols/streams/options.ts'
import { parseTemplate } from '../template.ts'

const known = [
  'http',
  'input',
  'output',
  'idempotent',
  'keyHeader',
  'query',
  'body',
  'bodyField',
  'headerFields',
  'answer',
  'pages',
  'stream',
  'graphql',
  'soap',
  'grpc',
  'cache',
  'verify',
  'fallback',
  'timeout',
  'headers',
  'scopes',
]

/** What is spoken over HTTP, and has rules of its own. */
const spoken = ['stream', 'graphql', 'soap', 'grpc']

/** Everything wrong in one operation. `all` are the operations that its `verify` may ask. */
export function checkOperation(
  path: string,
  operation: Operation<unknown, unknown>,
  all: readonly Operation<unknown, unknown>[],
  later = false,
): Problem[] {
  const spec = operation.spec as unknown as Readonly<Record<string, unknown>>
  const problems = [
    ...checkName('connection', operation.name).map((p) => ({ ...p, path })),
    ...checkOptions(path, spec, known),
    ...headerProblems(`${path}.headers`, spec['headers'], true),
    ...pagesProblems(`${path}.pages`, spec['pages']),
  ]
  const add = (name: string, message: string, fix: string): void => {
    problems.push({ path: `${path}.${name}`, message, fix })
  }
  const template = parseTemplate(spec['http'])
  if ('problem' in template)
    add('http', `${JSON.stringify(spec['http'])?.slice(0, 80)} ${template.problem}`, "use 'POST /charges/:id'")
  for (const name of ['input', 'output'] as const) {
    if (spec[name] !== undefined && !isSchema(spec[name]))
      add(name, 'is not a schema', 'use a schema of zod, arktype, valibot …')
  }
  const fields = fieldsOf(spec['input'])
  const params = 'problem' in template ? [] : template.params
  for (const param of fields ? params.filter((p) => !fields.has(p)) : []) {
    add(
      'http',
      `uses :${param}, which the input does not have`,
      `add "${param}" to the input schema, or correct the line`,
    )
  }
  const query = spec['query']
  if (query !== undefined && !(Array.isArray(query) && query.every((q) => typeof q === 'string'))) {
    add('query', 'is not a list of names', "use ['dry_run']")
  } else {
    for (const name of (query as readonly string[] | undefined) ?? []) {
      if (params.includes(name)) add('query', `"${name}" is already in the path`, 'remove it')
      else if (fields && !fields.has(name))
        add('query', `"${name}" is not in the input`, 'add it to the input schema, or remove it')
    }
  }
  problems.push(...placementProblems(path, spec, fields, params))
  const { idempotent, keyHeader } = spec
  const method = 'problem' in template ? undefined : template.method
  if (idempotent !== undefined && idempotent !== 'key' && idempotent !== 'natural' && idempotent !== false) {
    add('idempotent', 'has an unknown value', "use 'key', 'natural' or false")
  }
  if (idempotent === 'key' && method !== undefined && isSafe(method)) {
    add('idempotent', `${method} changes nothing and needs no key`, 'remove it')
  }
  if (keyHeader !== undefined && !isFieldName(keyHeader))
    add('keyHeader', 'is not a field name', "use 'idempotency-key'")
  if (keyHeader !== undefined && idempotent !== 'key') add('keyHeader', 'has no key to carry', "add idempotent: 'key'")
  if (spec['body'] !== undefined && spec['body'] !== 'json' && spec['body'] !== 'form')
    add('body', 'is unknown', "use 'json' or 'form'")
  if (spec['answer'] !== undefined && !['json', 'text', 'bytes'].includes(spec['answer'] as string)) {
    add('answer', 'is unknown', "use 'json', 'text' or 'bytes'")
  }
  if (spec['timeout'] !== undefined && !isSpan(spec['timeout']))
    add('timeout', 'is not a time', "use a duration: '10s'")
  problems.push(
    ...cacheProblems(`${path}.cache`, spec['cache'], spoken.find((name) => spec[name] !== undefined) ?? method),
  )
  const { scopes } = spec
  if (scopes !== undefined && !(Array.isArray(scopes) && scopes.every((s) => typeof s === 'string' && s !== '')))
    add('scopes', 'is not a list of scopes', "use ['orders.read']")
  problems.push(...graphqlProblems(`${path}.graphql`, spec, method, params))
  problems.push(...soapProblems(`${path}.soap`, spec, method, params))
  problems.push(...grpcProblems(`${path}.grpc`, spec))
  const safe = method !== undefined && isSafe(method)
  const reads = safe || readsOnly(operation.spec)
  const once = reads || (idempotent === undefined && (method === 'PUT' || method === 'DELETE'))
  const recognised = once || idempotent === 'key' || spec['verify'] !== undefined
  problems.push(...fallbackProblems(`${path}.fallback`, operation.spec, { once, recognised, later }))
  problems.push(...streamProblems(`${path}.stream`, spec, reads))
  return [...problems, ...verifyProblems(`${path}.verify`, spec['verify'], all)]
}

function verifyProblems(path: string, verify: unknown, all: readonly Operation<unknown, unknown>[]): Problem[] {
  if (verify === undefined) return []
  const problems = checkOptions(path, verify, ['call', 'input', 'found'])
  if (typeof verify !== 'object' || verify === null) return problems
  const { call, input, found } = verify as Readonly<Record<string, unknown>>
  const asked = all.find((o) => o.name === call)
  const template = parseTemplate(asked?.spec.http)
  if (!asked) {
    const fix = `use one of ${all.map((o) => o.name).join(', ')}`
    problems.push({ path: `${path}.call`, message: `there is no operation ${JSON.stringify(call)}`, fix })
  } else if (asked.spec.stream !== undefined) {
    problems.push({ path: `${path}.call`, message: 'a stream has no one answer', fix: 'name a read without `stream`' })
  } else if (!('problem' in template) && !isSafe(template.method) && !readsOnly(asked.spec)) {
    const fix = "name a GET; or mark it idempotent: 'natural' if it only reads"
    problems.push({ path: `${path}.call`, message: 'verifying must not change anything', fix })
  }
  for (const [name, value] of [
    ['input', input],
    ['found', found],
  ] as const) {
    if (typeof value !== 'function')
      problems.push({ path: `${path}.${name}`, message: 'is not a function', fix: `add ${name}` })
  }
  return problems
}

function readsOnly(spec: OperationSpec): boolean {
  return spec.idempotent === 'natural' || documentOf(spec)?.kind === 'query'
}

function pagesProblems(path: string, pages: unknown): Problem[] {
  if (pages === undefined) return []
  const styles = ['cursor', 'page', 'offset', 'link']
  const style = typeof pages === 'object' && pages !== null ? (pages as { style?: unknown }).style : pages
  const problems: Problem[] =
    typeof pages === 'object'
      ? checkOptions(path, pages, ['style', 'param', 'next', 'after', 'more', 'items', 'first', 'most', 'token'])
      : []
  if (!styles.includes(style as string))
    problems.push({ path, message: 'is not a style of paging', fix: `use ${styles.join(', ')}` })
  if (typeof pages !== 'object' || pages === null) return problems
  const o = pages as Readonly<Record<string, unknown>>
  for (const name of ['param', 'next', 'after', 'more', 'items']) {
    if (o[name] !== undefined && (typeof o[name] !== 'string' || o[name].split('.').includes(''))) {
      problems.push({ path: `${path}.${name}`, message: 'is not a name', fix: "use text such as 'paging.next'" })
    }
  }
  if (o['next'] !== undefined && o['after'] !== undefined) {
    problems.push({ path: `${path}.after`, message: 'contradicts `next`', fix: 'keep one of them' })
  }
  if (o['token'] !== undefined && o['token'] !== true)
    problems.push({ path: `${path}.token`, message: 'is not true', fix: 'use true, or remove it' })
  if (o['first'] !== undefined && !(Number.isInteger(o['first']) && (o['first'] as number) >= 0)) {
    problems.push({ path: `${path}.first`, message: 'is not a page', fix: 'use a whole number from 0' })
  }
  if (o['most'] !== undefined && !(Number.isInteger(o['most']) && (o['most'] as number) >= 1)) {
    problems.push({ path: `${path}.most`, message: 'is not a count', fix: 'use a whole number from 1' })
  }
  return problems
}
