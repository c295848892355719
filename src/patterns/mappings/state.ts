import type { Definition, Problem } from '#kernel/definition.ts'
import { fault } from '#kernel/fault.ts'
import type { Schema } from '#kernel/schema.ts'
import { arrowEngine, type Arrow } from './arrows.ts'
import { readDocument, type Found } from './document.ts'
import { documentEngine, type CompileMode, type Engine } from './engine.ts'
import { planDocument, type Tables } from './entries.ts'
import type { PhoneNormaliser } from './phone.ts'
import type { Plan } from './plan.ts'

export type Table = Readonly<Record<string, unknown>> | ReadonlyMap<string, unknown>

/** What a mapping was defined with, whatever its form. */
export type Given = {
  readonly from?: Schema | undefined
  readonly to?: Schema | undefined
  readonly fields?: Readonly<Record<string, Arrow>> | undefined
  readonly document?: string | URL | object | undefined
  readonly tables?: Readonly<Record<string, Table>> | undefined
  readonly phone?: PhoneNormaliser | undefined
  readonly compile?: CompileMode | undefined
}

/** The life of a mapping behind its frozen function: text once it was loaded, the plan and engine once they were needed. */
export type State = {
  readonly name: string
  readonly given: Given
  text: string | undefined
  planned: { readonly plan: Plan | undefined; readonly problems: readonly Problem[] } | undefined
  engine: Engine | undefined
}

const states = new WeakMap<object, State>()

export function keepState(mapping: object, state: State): void {
  states.set(mapping, state)
}

export function stateOf(mapping: Definition): State {
  const state = states.get(mapping)
  if (!state) throw fault('config.option', { message: `${mapping.name} is not a mapping of this copy of the package` })
  return state
}

/** Whether the document is a file's path or URL rather than its text: `./x.yaml`, `file:…`, anything ending in .yaml, .yml or .json. */
export function isPath(document: unknown): document is string | URL {
  if (document instanceof URL) return true
  return (
    typeof document === 'string' &&
    !/[\n{]/.test(document) &&
    /^(?:\.{0,2}\/|file:)|\.(?:ya?ml|json)$/i.test(document.trim())
  )
}

/** The checked document; undefined for arrows, and for a path that was not loaded. */
export function planOf(state: State): State['planned'] {
  const { document } = state.given
  if (document === undefined || (isPath(document) && state.text === undefined)) return undefined
  if (state.planned) return state.planned
  const { plan, problems } = planDocument(readDocument(state.text ?? document), {
    tables: tablesOf(state.given),
    phone: state.given.phone,
  })
  state.planned = { plan, problems: problems.slice(0, 100).map((p) => placed(state, p)) }
  return state.planned
}

function placed(state: State, { at, where, message, fix }: Found): Problem {
  const { document } = state.given
  const file = !isPath(document) ? '' : `${document instanceof URL ? document.href : document} `
  const place = where ? ` (${file}line ${where.line}, column ${where.column})` : ''
  return { path: `mapping(${JSON.stringify(state.name)})${at ? `.${at}` : ''}${place}`, message, fix }
}

function tablesOf(given: Given): Tables {
  const out = new Map<string, ReadonlyMap<string, unknown>>()
  for (const [name, table] of Object.entries(given.tables ?? {})) {
    const rows =
      table instanceof Map
        ? Array.from(table as ReadonlyMap<unknown, unknown>, ([k, v]) => [String(k), v] as const)
        : Object.entries(table)
    out.set(name, new Map(rows))
  }
  return out
}

/** The engine, made at first use. Throws `mapping.unloaded` or `mapping.document`. */
export function engineOf(state: State): Engine {
  if (state.engine) return state.engine
  const { fields, document, compile = 'auto' } = state.given
  if (fields) return (state.engine = arrowEngine(fields))
  const planned = planOf(state)
  if (!planned) {
    const file = document instanceof URL ? document.href : typeof document === 'string' ? document : 'none'
    throw fault('mapping.unloaded', {
      message: `${state.name}: its document ${file} was not loaded`,
      detail: { mapping: state.name, document: file },
    })
  }
  if (!planned.plan) {
    const first = planned.problems[0]
    throw fault('mapping.document', {
      message: `${state.name}: ${first ? `${first.path}: ${first.message}` : 'the document is wrong'}`,
      detail: { mapping: state.name, problems: planned.problems },
    })
  }
  return (state.engine = documentEngine(planned.plan, compile))
}
