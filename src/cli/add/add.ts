import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { checkName } from '#kernel/definition.ts'
import { fault } from '#kernel/fault.ts'
import type { HttpOut } from '#kernel/http.ts'
import { listed, type Choice, type Listed } from './choose.ts'
import { compare, type Change } from './compare.ts'
import { fileOf } from './file.ts'
import { modelOf } from './generate.ts'
import { load } from './source.ts'
import type { Model } from './model.ts'
import { environment } from './names.ts'
import { operationsIn } from './operations.ts'
import { versionOf } from './read.ts'
import { printState, readState, stateOf, type State } from './state.ts'
import { replace, standing } from './write.ts'

export type Asked = Choice & {
  readonly name: string
  readonly out?: string
  readonly server?: string
  readonly keyHeader?: string
  readonly allowRefs?: boolean
  readonly force?: boolean
  readonly dryRun?: boolean
}

export type Added = {
  readonly file: string
  readonly written: boolean
  readonly title: string
  readonly version: string
  readonly operations: readonly string[]
  readonly total: number
  readonly leftOut: Model['leftOut']
  readonly webhooks: readonly string[]
  readonly secrets: readonly string[]
  /** What changed since the last run; undefined when there was none, or it left nothing to compare with. */
  readonly changes?: readonly Change[]
  /** Changed by hand since it was written: nothing is replaced without --force. */
  readonly edited: boolean
}

/** The operations of a description, to choose from. Writes nothing. */
export async function listOperations(source: string, http: HttpOut, allowRefs: boolean): Promise<readonly Listed[]> {
  const { documents } = await load(source, http, allowRefs)
  versionOf(documents.all.get(documents.root)!, source)
  return operationsIn(documents).map(listed)
}

/**
 * Writes `<name>.ts` and, for the next run, `<name>.api.json` beside it. A second run takes the same operations unless others
 * are asked for, and replaces the file only when it is as it was written (`edited` in the result otherwise). Throws
 * `cli.usage`, `cli.exists`, `cli.write` and all of `load` and `modelOf`.
 */
export async function add(source: string, asked: Asked, http: HttpOut): Promise<Added> {
  checkAsked(asked)
  const file = resolve(asked.out ?? `${asked.name}.ts`)
  const beside = file.replace(/\.ts$/, '.api.json')
  const before = standing(file)
  if (before?.found === 'foreign' && asked.force !== true) {
    throw fault('cli.exists', {
      message: `${file} exists and was not written by \`fairlead add\`; nothing was written`,
      detail: { path: file, fix: 'choose another --name or --out' },
    })
  }
  const kept = standing(beside)
  if (before === undefined && kept && readState(kept.text) === undefined && asked.force !== true) {
    throw fault('cli.exists', {
      message: `${beside} exists and was not written by \`fairlead add\`; nothing was written`,
      detail: { path: beside, fix: 'choose another --name or --out' },
    })
  }
  const last = before && before.found !== 'foreign' && kept ? readState(kept.text) : undefined
  const choice = choiceOf(asked, last)
  const { documents, text } = await load(source, http, asked.allowRefs === true)
  const model = modelOf(documents, source, choice)
  const sha256 = createHash('sha256').update(text).digest('hex')
  const command = commandOf(source, asked, choice)
  const code = fileOf(asked.name, model, { source, sha256, command })
  const state = stateOf(model, { source, sha256, chosen: choice })
  const edited = before?.found === 'edited'
  const may = asked.dryRun !== true && (!edited || asked.force === true)
  const changed = before?.text !== code
  if (may && changed) replace({ [file]: code, [beside]: printState(state) })
  return {
    file,
    written: may && changed,
    title: model.title,
    version: model.version,
    operations: model.operations.map((o) => o.name),
    total: model.lines.length,
    leftOut: model.leftOut,
    webhooks: model.webhooks,
    secrets: secrets[model.auth.kind].map((end) => `${environment(asked.name)}_${end}`),
    ...(last === undefined ? {} : { changes: compare(last, state, new Set(model.lines)) }),
    edited,
  }
}

/** What stands behind `STRIPE_` in the names of a credential's secrets. */
const secrets = {
  none: [],
  bearer: ['TOKEN'],
  basic: ['PASSWORD'],
  'api-key': ['KEY'],
  'client-credentials': ['CLIENT_SECRET'],
  'authorization-code': ['CLIENT_SECRET', 'TOKEN_KEY'],
} as const satisfies Record<Model['auth']['kind'], readonly string[]>

function checkAsked({ name, out, server, keyHeader }: Asked): void {
  const wrong = (message: string, fix: string): Error => fault('cli.usage', { message, detail: { fix } })
  const [problem] = checkName('connection', name)
  if (problem) throw wrong(`--name ${JSON.stringify(name).slice(0, 80)} is not a name`, problem.fix)
  if (out !== undefined && !out.endsWith('.ts'))
    throw wrong(`--out ${out} is not a .ts file`, 'name the file: --out api/stripe.ts')
  const url = server === undefined ? undefined : URL.parse(server)
  if (
    url === null ||
    (url && (!/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== ''))
  ) {
    throw wrong(`--server ${server!.slice(0, 100)} is not a base address`, 'use https://host/path')
  }
  if (keyHeader !== undefined && !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}$/.test(keyHeader)) {
    throw wrong('--key-header is not a field name', 'use idempotency-key')
  }
}

type Chosen = Choice & Pick<Asked, 'server' | 'keyHeader'>

/** What was asked for; what was asked for last time where this time says nothing. */
function choiceOf(asked: Asked, last: State | undefined): Chosen {
  const before = (last?.chosen ?? {}) as Chosen
  const named = asked.only !== undefined || asked.tags !== undefined || asked.all !== undefined
  const { only, tags, all } = named ? asked : before
  const server = asked.server ?? before.server
  const keyHeader = asked.keyHeader ?? before.keyHeader
  return {
    ...(only === undefined ? {} : { only }),
    ...(tags === undefined ? {} : { tags }),
    ...(all === undefined ? {} : { all }),
    ...(server === undefined ? {} : { server: server.replace(/\/+$/, '') }),
    ...(keyHeader === undefined ? {} : { keyHeader }),
  }
}

/** The command that does the same again, quoted for a shell. */
function commandOf(source: string, asked: Asked, choice: Chosen): string {
  const quote = (word: string): string => (/^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)
  const words = [
    'fairlead add',
    quote(source),
    `--name ${asked.name}`,
    ...(asked.out === undefined ? [] : [`--out ${quote(asked.out)}`]),
    ...(choice.only === undefined ? [] : [`--only ${quote(choice.only.join(','))}`]),
    ...(choice.tags ?? []).map((t) => `--tag ${quote(t)}`),
    ...(choice.all === true ? ['--all'] : []),
    ...(choice.server === undefined ? [] : [`--server ${quote(choice.server)}`]),
    ...(choice.keyHeader === undefined ? [] : [`--key-header ${choice.keyHeader}`]),
    ...(asked.allowRefs === true ? ['--allow-refs'] : []),
  ]
  return words.join(' ')
}
