import { createHash } from 'node:crypto'
import { lines, list, print, record, type Code, type Item } from './code.ts'
import type { AuthGuess, Model, Operation, PageGuess } from './model.ts'
import { camel, environment, Names } from './names.ts'
import { oneLine, quoted } from './text.ts'
import { Zod } from './zod.ts'

/** What the head of a file says of where it came from. */
export type Origin = {
  /** As it was typed. */
  readonly source: string
  /** SHA-256 of the description, hexadecimal. */
  readonly sha256: string
  /** The command that writes the file again. */
  readonly command: string
}

/** The whole file. The same description and choice give the same text. */
export function fileOf(name: string, model: Model, origin: Origin): string {
  const names = new Names()
  const constant = names.take(camel(name) ?? 'api')
  const roots = model.operations.flatMap((o) => [
    ...(o.input ? [{ shape: o.input, direction: 'in' as const }] : []),
    ...(o.output && o.answer === undefined ? [{ shape: o.output, direction: 'out' as const }] : []),
  ])
  const zod = new Zod(model.schemas, roots, names)
  const declarations = zod.declarations()
  const body = `export const ${constant} = connection(${quoted(name)}, ${print(connectionCode(name, model, zod))})`
  const imports = [
    'connection',
    ...(model.auth.kind === 'none' ? [] : [authCall[model.auth.kind], 'secret']),
  ].toSorted()
  const parts = [
    `import { ${imports.join(', ')} } from 'fairlead'`,
    ...(declarations.length > 0 || body.includes('z.') ? ["import { z } from 'zod'"] : []),
  ]
  const text = [
    parts.join('\n'),
    ...(zod.opens ? [open] : []),
    ...declarations,
    `${connectionNote(model)}${body}`,
  ].join('\n\n')
  return marked(`${head(model, origin)}\n${text}\n`)
}

const authCall = {
  bearer: 'bearer',
  basic: 'basic',
  'api-key': 'apiKey',
  'client-credentials': 'clientCredentials',
  'authorization-code': 'authorizationCode',
} as const

const open = `/** One of these, or a text that they add later: a new value is no reason to refuse an answer. */
function open<const T extends string>(known: readonly T[]): z.ZodType<T | (string & {}), T | (string & {})> {
  return z.string().meta({ examples: [...known] })
}`

function connectionCode(name: string, model: Model, zod: Zod): Code {
  const at = environment(name)
  const items: Item[] = [
    {
      note: model.serverRemarks.map((r) => `// ${oneLine(r, 300)}`),
      key: 'baseUrl',
      code: `process.env[${quoted(`${at}_URL`)}] ?? ${quoted(model.baseUrl)}`,
    },
    ...authItem(at, model.auth),
    ...(model.brackets ? [{ key: 'queryStyle', code: quoted('brackets') }] : []),
    {
      note: authNote(at, model.auth),
      key: 'operations',
      code: lines(model.operations.map((o) => operationItem(o, zod))),
    },
  ]
  return lines(items)
}

function authItem(at: string, auth: AuthGuess): Item[] {
  const note = auth.remarks.map((r) => `// ${oneLine(r, 300)}`)
  switch (auth.kind) {
    case 'none':
      return []
    case 'bearer':
      return [{ note, key: 'auth', code: `bearer(secret(${quoted(`${at}_TOKEN`)}))` }]
    case 'basic': {
      const user = `process.env[${quoted(`${at}_USER`)}] ?? 'user'`
      return [{ note, key: 'auth', code: `basic(${user}, secret(${quoted(`${at}_PASSWORD`)}))` }]
    }
    case 'client-credentials':
    case 'authorization-code':
      return [{ note, key: 'auth', code: oauthCode(at, auth) }]
    case 'api-key': {
      const place = print(record('{', [{ key: auth.at, code: quoted(auth.field) }], '}'))
      return [{ note, key: 'auth', code: `apiKey(secret(${quoted(`${at}_KEY`)}), ${place})` }]
    }
  }
}

/** A client id and where a person is sent back to are ours: they come out of the environment. */
function oauthCode(at: string, { kind, oauth }: Extract<AuthGuess, { oauth: unknown }>): Code {
  const { issuer, authorizationEndpoint, tokenEndpoint, scopes } = oauth
  const person = kind === 'authorization-code'
  const proof = record(
    '{',
    [
      { key: 'method', code: quoted('client_secret_basic') },
      { key: 'secret', code: `secret(${quoted(`${at}_CLIENT_SECRET`)})` },
    ],
    '}',
  )
  const items: Item[] = [
    ...Object.entries({ issuer, authorizationEndpoint, tokenEndpoint }).flatMap(([key, value]) =>
      value === undefined ? [] : [{ key, code: quoted(value) }],
    ),
    { key: 'clientId', code: `process.env[${quoted(`${at}_CLIENT_ID`)}] ?? 'fairlead'` },
    { key: 'authenticate', code: proof },
    ...(scopes.length === 0 ? [] : [{ key: 'scopes', code: list('[', scopes.map(quoted), ']') }]),
  ]
  if (person) {
    const back = `https://replace-me.invalid/oauth/${at.toLowerCase()}`
    items.push(
      { key: 'redirectUri', code: `process.env[${quoted(`${at}_REDIRECT_URI`)}] ?? ${quoted(back)}` },
      { key: 'tokenKey', code: `secret(${quoted(`${at}_TOKEN_KEY`)})` },
    )
  }
  return record(`${authCall[kind]}({`, items, '})')
}

/** Where nothing is known: the line that a person will have to write. */
function authNote(at: string, auth: AuthGuess): string[] {
  if (auth.kind !== 'none') return []
  return [...auth.remarks.map((r) => `// ${oneLine(r, 300)}`), `// auth: bearer(secret(${quoted(`${at}_TOKEN`)})),`]
}

function operationItem(o: Operation, zod: Zod): Item {
  const items: Item[] = [{ key: 'http', code: quoted(o.http) }]
  const add = (key: string, code: Code | undefined): void => {
    if (code !== undefined) items.push({ key, code })
  }
  add('input', o.input && zod.code(o.input, 'in'))
  if (o.query.length > 0) add('query', list('[', o.query.map(quoted), ']'))
  add('body', o.body && quoted(o.body))
  add('bodyField', o.bodyField && quoted(o.bodyField))
  add('headerFields', textRecord(o.headerFields))
  add('headers', textRecord(o.headers))
  add('answer', o.answer && quoted(o.answer))
  if (o.output && o.answer === undefined) add('output', zod.code(o.output, 'out'))
  else if (o.answer === 'bytes') add('output', 'z.instanceof(Uint8Array)')
  else if (o.answer === 'text' && o.output) add('output', 'z.string()')
  if (o.key !== undefined) add('idempotent', quoted('key'))
  if (o.key !== undefined && o.key !== 'idempotency-key') add('keyHeader', quoted(o.key))
  add('pages', o.pages && pagesCode(o.pages))
  return { note: docstring(operationLines(o)), key: o.name, code: record('{', items, '}') }
}

function operationLines(o: Operation): string[] {
  return [
    ...(o.note === '' ? [] : [oneLine(o.note)]),
    ...(o.deprecated ? ['Deprecated by its owner.'] : []),
    ...o.remarks.map((r) => `Note: ${oneLine(r, 200)}.`),
    ...(o.pages ? ['How it goes on (`pages`) is a guess.'] : []),
    ...(o.example === undefined ? [] : [`Example: ${oneLine(o.example, 420)}`]),
    ...(o.exampleAnswer === undefined ? [] : [`Answers: ${oneLine(o.exampleAnswer, 420)}`]),
  ]
}

function docstring(lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  if (lines.length === 1) return [`/** ${lines[0]!} */`]
  return ['/**', ...lines.map((l) => ` * ${l}`), ' */']
}

function pagesCode(pages: PageGuess): Code {
  const entries = Object.entries(pages)
  if (entries.length === 1) return quoted(pages.style)
  return record(
    '{',
    entries.map(([key, value]) => ({ key, code: typeof value === 'number' ? String(value) : quoted(value) })),
    '}',
  )
}

function textRecord(entries: Readonly<Record<string, string>>): Code | undefined {
  const all = Object.entries(entries)
  return all.length === 0
    ? undefined
    : record(
        '{',
        all.map(([name, value]) => ({ key: name, code: quoted(value) })),
        '}',
      )
}

function connectionNote(model: Model): string {
  return `/** ${oneLine(model.title, 100) || 'The connection'}${model.version === '' ? '' : `, ${oneLine(model.version, 40)}`}. */\n`
}

const most = 40

function head(model: Model, origin: Origin): string {
  const lines = [
    `${oneLine(model.title, 100) || 'An API'}, version ${oneLine(model.version, 40) || 'unknown'}: a connection made from its ${model.spec} description.`,
    '',
    `Source:     ${oneLine(origin.source, 300)}`,
    `SHA-256:    ${origin.sha256}`,
    `Licence:    ${oneLine(model.license ?? 'not stated in the description', 200)}`,
    ...(model.terms === undefined ? [] : [`Terms:      ${oneLine(model.terms, 200)}`]),
    `Operations: ${model.operations.length} of ${model.lines.length}`,
    `Again:      ${oneLine(origin.command, 400)}`,
    '',
    'Guessed, so look at it: `auth`, `pages`, which operations take a key. What is changed by hand in this file is noticed by',
    'the next run, which then replaces nothing without --force.',
    ...(model.rateHeaders.length === 0
      ? []
      : ['', `Answers carry ${oneLine(model.rateHeaders.join(', '), 200)}: the connection reads them by itself.`]),
    ...section(
      'Left out',
      model.leftOut.map((l) => `${oneLine(l.line, 120)}: ${oneLine(l.why, 120)}`),
    ),
    ...section(
      'Webhooks that it describes',
      model.webhooks.map((w) => oneLine(w, 100)),
    ),
  ]
  return ['/**', ...lines.map((l) => (l === '' ? ' *' : ` * ${l}`)), ` *`, ` * ${marker}${'0'.repeat(64)}`, ' */'].join(
    '\n',
  )
}

function section(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  const rest = lines.length - most
  return ['', `${title}:`, ...lines.slice(0, most).map((l) => `- ${l}`), ...(rest > 0 ? [`- and ${rest} more`] : [])]
}

const marker = 'fairlead add 1 '

/** The file with the hash of itself in its head. */
function marked(text: string): string {
  return text.replace(`${marker}${'0'.repeat(64)}`, `${marker}${fingerprint(text)}`)
}

export type Found = 'unchanged' | 'edited' | 'foreign'

/** What a file is that stands where we would write: as it was written, changed since, or none of ours. */
export function inspect(text: string): Found {
  const found = /^ \* fairlead add 1 ([0-9a-f]{64})$/m.exec(text)
  if (!found) return 'foreign'
  return fingerprint(text) === found[1] ? 'unchanged' : 'edited'
}

/**
 * A hash that formatting does not change: white space, quotes, commas, semicolons, brackets that a formatter may add or
 * take away do not count, nor does the marker itself.
 */
function fingerprint(text: string): string {
  const bare = text.replace(/fairlead add 1 [0-9a-f]{64}/, '').replaceAll(/[\s;,'"`()|\\*]+/g, '')
  return createHash('sha256').update(bare).digest('hex')
}
