import { fault } from '#kernel/fault.ts'
import { guessAuth } from './auth.ts'
import { chosen, type Choice } from './choose.ts'
import type { Model, Operation, LeftOut } from './model.ts'
import { Names } from './names.ts'
import { operationsIn, parametersOf, readOperation, type Reading } from './operations.ts'
import { allInBrackets } from './parameters.ts'
import { isPlain, versionOf, type Plain } from './read.ts'
import { type Documents } from './refs.ts'
import { Schemas } from './schemas.ts'
import { resolved, serverOf } from './servers.ts'
import * as swagger from './swagger.ts'
import { oneLine } from './text.ts'

/** Names that a connection keeps for itself, and those that would make its value look like something else. */
const reserved = new Set([
  'kind',
  'name',
  'options',
  'then',
  'constructor',
  'toString',
  'valueOf',
  'toJSON',
  'hasOwnProperty',
])

export type Options = Choice & {
  /** Base address in place of the description's. */
  readonly server?: string
  /** Header of an idempotency key that they take with every POST and PATCH, though the description does not say so. */
  readonly keyHeader?: string
}

/**
 * A description as a model: pure, reads nothing. Throws `add.document` for what is no OpenAPI document or describes no
 * operation, `add.reference`, `add.limit`, and what `chosen` throws.
 */
export function modelOf(documents: Documents, where: string, options: Options): Model {
  const doc = documents.all.get(documents.root)!
  const version = versionOf(doc, where)
  const schemas = new Schemas(documents)
  const raw = operationsIn(documents)
  const webhooks = Object.keys(objectOf(doc['webhooks'] ?? doc['x-webhooks']))
  if (raw.length === 0) throw withoutOperations(where, webhooks)
  const servers = version === '2.0' ? swagger.servers(doc) : listOf(doc['servers'])
  const server = serverOf(servers, documents.root, options.server)
  const picked = chosen(raw, options)

  const asked = picked.flatMap((one) => parametersOf(one, { documents, schemas, version }))
  const brackets = allInBrackets(asked, schemas)
  const own = new Set(servers.map((s) => resolved(s, documents.root)))
  const reading: Reading = {
    documents,
    version,
    doc,
    schemas,
    names: new Names(reserved),
    brackets,
    key: options.keyHeader?.toLowerCase(),
    elsewhere: (given) => {
      const urls = listOf(given).map((s) => resolved(s, documents.root))
      return urls.length > 0 && !urls.some((u) => own.has(u)) && own.size > 0
    },
  }
  const operations: Operation[] = []
  const leftOut: LeftOut[] = []
  for (const one of picked) {
    const read = readOperation(one, reading)
    if ('why' in read) leftOut.push(read)
    else operations.push(read)
  }
  if (operations.length === 0) {
    throw fault('add.document', {
      message: `${where}: none of the ${picked.length} operations can be written: ${leftOut[0]!.line.slice(0, 100)}: ${leftOut[0]!.why}`,
      detail: { fix: 'choose others; --list shows what there is' },
    })
  }
  const shapes = operations.flatMap((o) => [o.input, o.output].filter((s) => s !== undefined))
  const info = objectOf(doc['info'])
  const license = objectOf(info['license'])
  const says = [license['name'], license['identifier'], license['url']].filter((t) => typeof t === 'string' && t !== '')
  const components = objectOf(doc['components'])
  const schemes = version === '2.0' ? swagger.securitySchemes(doc) : objectOf(components['securitySchemes'])
  return {
    title: oneLine(info['title'], 120),
    version: oneLine(typeof info['version'] === 'number' ? String(info['version']) : info['version'], 60),
    spec: version === '2.0' ? 'Swagger 2.0' : `OpenAPI ${version}`,
    ...(says.length === 0 ? {} : { license: oneLine(says.join(', '), 200) }),
    ...(typeof info['termsOfService'] === 'string' ? { terms: oneLine(info['termsOfService'], 200) } : {}),
    baseUrl: server.baseUrl,
    serverRemarks: server.remarks,
    auth: guessAuth(
      schemes,
      picked.map((p) => p.node['security'] ?? doc['security']),
    ),
    brackets,
    operations,
    leftOut,
    lines: raw.map((r) => `${r.method} ${r.path}`),
    schemas: Object.fromEntries(schemas.reachable(shapes)),
    webhooks: webhooks.map((w) => oneLine(w, 100)),
    rateHeaders: rateHeaders(
      components,
      picked.map((p) => p.node),
    ),
  }
}

function withoutOperations(where: string, webhooks: readonly string[]): Error {
  const some = webhooks.slice(0, 5).map((w) => oneLine(w, 60))
  const described = `${webhooks.length} webhook${webhooks.length === 1 ? '' : 's'} (${some.join(', ')}${webhooks.length > 5 ? ', …' : ''})`
  return fault('add.document', {
    message: `${where} describes no operation that could be called${webhooks.length > 0 ? `, but ${described}` : ''}`,
    detail: {
      fix:
        webhooks.length > 0
          ? 'what they send is received by a `webhook`, which is written by hand'
          : 'name the document that has `paths`',
    },
  })
}

/** Header fields about limits that the answers are said to carry. */
function rateHeaders(components: Plain, operations: readonly Plain[]): string[] {
  const found = new Set<string>()
  const look = (headers: unknown): void => {
    for (const name of Object.keys(objectOf(headers))) {
      if (/^(?:retry-after|(?:x-)?rate-?limit[\w-]*)$/i.test(name)) found.add(name)
    }
  }
  look(components['headers'])
  for (const response of Object.values(objectOf(components['responses']))) look(objectOf(response)['headers'])
  for (const operation of operations) {
    for (const response of Object.values(objectOf(operation['responses']))) look(objectOf(response)['headers'])
  }
  return [...found].toSorted().slice(0, 10)
}

function objectOf(value: unknown): Plain {
  return isPlain(value) ? value : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
