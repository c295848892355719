import { fault } from '#kernel/fault.ts'
import type { Schema } from '#kernel/schema.ts'
import { issueRejects } from './issues.ts'
import { rejectedFault, type Reject } from './reject.ts'
import { engineOf, type State } from './state.ts'

type Batch = { readonly mapped: unknown[]; readonly rejects: Reject[]; readonly rejected: number }

/** The mapping of one record: throws `mapping.rejected`. */
export function mapOne(state: State): (source: unknown) => unknown {
  const validate = validator(state.given.to)
  return (source) => {
    const { map } = state.engine ?? engineOf(state)
    let out: unknown
    try {
      out = map(source)
    } catch {
      // An arrow, an injected normaliser or a getter threw; `explain` finds out which.
    }
    if (out === undefined) throw rejectedFault(state.name, reasons(state, source, 0))
    if (validate === undefined) return out
    const result = validate(out)
    if (result.issues) throw rejectedFault(state.name, issueRejects(state, out, result.issues, 0))
    return result.value
  }
}

/** The mapping of many: one bad record costs its own rows and nothing else. */
export function mapMany(state: State): (records: Iterable<unknown>) => Batch {
  const validate = validator(state.given.to)
  return (records) => {
    const { map } = state.engine ?? engineOf(state)
    const mapped: unknown[] = []
    const rejects: Reject[] = []
    let index = -1
    for (const source of records) {
      index++
      let out: unknown
      try {
        out = map(source)
      } catch {
        // As above.
      }
      if (out === undefined) rejects.push(...reasons(state, source, index))
      else if (validate === undefined) mapped.push(out)
      else {
        const result = validate(out)
        if (result.issues) rejects.push(...issueRejects(state, out, result.issues, index))
        else mapped.push(result.value)
      }
    }
    return { mapped, rejects, rejected: index + 1 - mapped.length }
  }
}

function reasons(state: State, source: unknown, index: number): Reject[] {
  const rows = engineOf(state).explain(source, index)
  if (rows.length > 0) return rows
  // The first run failed and the second did not: something that was injected is not a pure function.
  return [
    {
      index,
      field: '',
      path: '',
      value: undefined,
      rule: 'record',
      reason: 'the mapping is not repeatable: it failed once',
    },
  ]
}

type Result = {
  readonly value?: unknown
  readonly issues?: readonly { readonly message: string; readonly path?: unknown }[] | undefined
}

function validator(schema: Schema | undefined): ((value: unknown) => Result) | undefined {
  if (!schema) return undefined
  const standard = schema['~standard']
  return (value) => {
    const result = standard.validate(value)
    if (!(result instanceof Promise)) return result
    result.catch(() => undefined)
    throw fault('config.option', {
      message: 'the `to` schema of a mapping is asynchronous: a mapping is a synchronous function',
    })
  }
}
