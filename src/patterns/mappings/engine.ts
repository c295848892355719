import { closures, stepValue, type MapRecord } from './closures.ts'
import { compile } from './compile.ts'
import { printPath, readPath } from './path.ts'
import { rejected, type Plan, type Step } from './plan.ts'
import { mostRejects, showValue, type Reject } from './reject.ts'

/** What makes records of one mapping. `map` answers undefined for a record that `explain` then gives the reasons for. */
export type Engine = {
  map: MapRecord
  explain(source: unknown, index: number): Reject[]
}

/** `auto`: generated code where the platform allows it, else closures. */
export type CompileMode = 'auto' | 'closures'

/** Runs a checked document. Reasons are worked out only for records that are rejected, by running their steps again. */
export function documentEngine(plan: Plan, mode: CompileMode): Engine {
  const rows = plan.steps.map((step) => ({ step, value: stepValue(step) }))
  return {
    map: mode === 'closures' ? closures(plan) : compileOrNot(plan),
    explain(source, index) {
      if (typeof source !== 'object' || source === null) return [notARecord(source, index)]
      const out: Reject[] = []
      for (const { step, value } of rows) {
        if (out.length === mostRejects) break
        let reason: string | undefined
        try {
          if (value(source) === rejected) reason = undefined
          else continue
        } catch (e) {
          // Only an injected normaliser or a getter of the record can throw; what it says may hold the value.
          reason = `thrown while it was mapped: ${e instanceof Error ? e.name : typeof e}`
        }
        out.push(explainStep(step, source, index, reason))
      }
      return out
    },
  }
}

function compileOrNot(plan: Plan): MapRecord {
  try {
    return compile(plan)
  } catch {
    // EvalError: a Content-Security-Policy or a flag forbids code generation.
    return closures(plan)
  }
}

function explainStep(step: Step, source: object, index: number, thrown: string | undefined): Reject {
  const field = printPath(step.target)
  const path = step.source ? printPath(step.source) : ''
  let value: unknown
  try {
    value = step.source && readPath(source, step.source)
  } catch {
    // The getter that threw is the reason; there is no value to show.
  }
  const { rule, reason } = thrown === undefined ? why(step, value) : { rule: step.transform.name, reason: thrown }
  return { index, field, path, value: showValue(value, [], step.sensitive), rule, reason }
}

function why(step: Step, value: unknown): { readonly rule: string; readonly reason: string } {
  const empty = value === '' && step.empty !== 'keep'
  if (value === undefined || (empty && step.empty === 'missing')) {
    return { rule: 'required', reason: `is ${empty ? 'empty' : 'missing'}, and the field is required` }
  }
  if (value === null || empty)
    return { rule: 'null', reason: `is ${empty ? 'empty' : 'null'}, and the field does not accept null` }
  return { rule: step.transform.name, reason: step.transform.explain(value) }
}

export function notARecord(source: unknown, index: number): Reject {
  return {
    index,
    field: '',
    path: '',
    value: showValue(source, []),
    rule: 'record',
    reason: 'the record is not an object',
  }
}
