import { checkName, checkOptions, type Definition, type Problem } from '#kernel/definition.ts'
import { isSchema } from '#kernel/schema.ts'
import { planOf, stateOf, type Given } from './state.ts'

/**
 * Everything that is wrong in a mapping, each with its place (line and column in a document) and the fix; at most 100.
 * A document in a file is checked once `loadMapping` has read it; before that only the options around it are.
 */
export function checkMapping(mapping: Definition): Problem[] {
  const state = stateOf(mapping)
  const path = `mapping(${JSON.stringify(state.name)?.slice(0, 80)})`
  const problems = checkName('mapping', state.name)
  return [...problems, ...checkGiven(path, state.given), ...(planOf(state)?.problems ?? [])]
}

function checkGiven(path: string, given: Given): Problem[] {
  const document = given.document !== undefined
  const known = document ? ['document', 'tables', 'phone', 'to', 'compile'] : ['from', 'to', 'fields']
  const problems: Problem[] = []
  const wrong = (name: string, message: string, fix: string): void =>
    void problems.push({ path: `${path}${name}`, message, fix })
  if (document && given.fields !== undefined) wrong('.fields', 'has both fields and a document', 'keep one of them')
  else problems.push(...checkOptions(path, given, known))
  if (!document && given.fields === undefined)
    wrong('', 'has neither fields nor a document', 'add `fields` or `document`')
  for (const name of ['from', 'to'] as const) {
    if (given[name] !== undefined && !isSchema(given[name]))
      wrong(`.${name}`, 'is not a Standard Schema', 'pass a schema of zod, arktype, valibot …')
  }
  if (given.fields !== undefined) checkFields(given.fields, wrong)
  if (!document) return problems
  const { tables, phone, compile } = given
  if (typeof given.document !== 'string' && (typeof given.document !== 'object' || given.document === null)) {
    wrong('.document', 'is neither text nor an object nor a path', 'pass YAML text, an object, or "./mapping.yaml"')
  }
  if (phone !== undefined && typeof phone !== 'function')
    wrong('.phone', 'is not a function', 'pass (text, country) => E.164 or undefined')
  if (compile !== undefined && compile !== 'auto' && compile !== 'closures')
    wrong('.compile', 'is not known', 'use "auto" or "closures"')
  for (const [name, table] of Object.entries(tables ?? {})) {
    if (typeof table !== 'object' || table === null)
      wrong(`.tables.${name}`, 'is not a table', 'pass an object or a Map')
  }
  return problems
}

function checkFields(fields: unknown, wrong: (name: string, message: string, fix: string) => void): void {
  if (typeof fields !== 'object' || fields === null || Object.keys(fields).length === 0) {
    return wrong('.fields', 'there are no fields', 'add one arrow a field: { number: (o) => o.id }')
  }
  for (const [name, arrow] of Object.entries(fields)) {
    if (name === '__proto__') wrong('.fields', '"__proto__" could reach a prototype and is refused', 'use another name')
    if (typeof arrow !== 'function') wrong(`.fields.${name}`, 'is not a function', 'write (source) => value')
  }
}
