import { parseJsonText } from '#kernel/json.ts'
import type { Model, Operation } from './model.ts'
import { isPlain, type Plain } from './read.ts'
import type { Shape } from './shape.ts'

/** What a run leaves for the next one: what the API looked like, and what was asked for. Stands beside the file. */
export type State = {
  readonly source: string
  readonly sha256: string
  readonly version: string
  readonly auth: string
  readonly baseUrl: string
  readonly chosen: Plain
  /** By the line of the description. */
  readonly operations: Readonly<Record<string, Kept>>
  readonly schemas: Readonly<Record<string, Shape>>
}

export type Kept = Pick<Operation, 'name' | 'http' | 'input' | 'output' | 'answer' | 'key' | 'body'>

export function stateOf(model: Model, origin: Pick<State, 'source' | 'sha256' | 'chosen'>): State {
  const { auth } = model
  return {
    ...origin,
    version: model.version,
    auth: auth.kind === 'api-key' ? `${auth.kind} ${auth.at} ${auth.field}` : auth.kind,
    baseUrl: model.baseUrl,
    operations: Object.fromEntries(model.operations.map((o) => [o.line, kept(o)])),
    schemas: model.schemas,
  }
}

function kept({ name, http, input, output, answer, key, body }: Operation): Kept {
  return {
    name,
    http,
    ...(input === undefined ? {} : { input }),
    ...(output === undefined ? {} : { output }),
    ...(answer === undefined ? {} : { answer }),
    ...(key === undefined ? {} : { key }),
    ...(body === undefined ? {} : { body }),
  }
}

const format = 'fairlead add 1'

/** One operation or schema a line, so that a version control system shows what changed. Descriptions are left out. */
export function printState(state: State): string {
  const { operations, schemas, ...rest } = state
  const bare = (key: string, value: unknown): unknown => (key === 'note' ? undefined : value)
  const rows = (entries: Readonly<Record<string, unknown>>): string =>
    Object.entries(entries)
      .map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value, bare)}`)
      .join(',\n')
  const head = Object.entries({ format, ...rest }).map(
    ([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`,
  )
  return `{\n${head.join('')}  "operations": {\n${rows(operations)}\n  },\n  "schemas": {\n${rows(schemas)}\n  }\n}\n`
}

/** The state of an earlier run; undefined for what is none (another format, broken, changed by hand). */
export function readState(text: string): State | undefined {
  let value: unknown
  try {
    value = parseJsonText(text)
  } catch {
    return undefined
  }
  if (!isPlain(value) || value['format'] !== format) return undefined
  const { operations, schemas, chosen } = value
  if (!isPlain(operations) || !isPlain(schemas) || !isPlain(chosen)) return undefined
  if (![...Object.values(operations), ...Object.values(schemas)].every(isPlain)) return undefined
  return value as unknown as State
}
