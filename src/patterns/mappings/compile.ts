import { list, type MapRecord } from './closures.ts'
import { isInherited, ownValue, type Path } from './path.ts'
import { rejected, type Outcome, type Plan, type Step, type Tree } from './plan.ts'

/**
 * The plan as one generated function that builds each record with as few object literals as its optional parts allow,
 * so that all results share a hidden class. Throws where code generation is forbidden; `closures` is the way out.
 *
 * What becomes code: our own templates, local names that we number, and names of paths as JSON string literals. Never
 * text of the document: transforms, constants and defaults are arguments. Paths that could reach a prototype were
 * refused when the document was read, and are refused again here.
 */
export function compile(plan: Plan): MapRecord {
  const writer = new Writer()
  const values = plan.steps.map((step) => writer.step(step))
  const result = writer.tree(plan.root, values)
  const body = `'use strict'
return function map(s) {
if (typeof s !== 'object' || s === null) return undefined
${writer.lines.join('\n')}
return ${plan.root.may ? `${result} === undefined ? {} : ${result}` : result}
}`
  // Safe: `body` holds nothing but the templates of this file and JSON string literals, see above. This is the only place.
  // oxlint-disable-next-line no-new-func, typescript/no-implied-eval
  const make = new Function(...writer.names, body) as (...constants: readonly unknown[]) => MapRecord
  return make(...writer.constants)
}

class Writer {
  readonly lines: string[] = []
  readonly names: string[] = []
  readonly constants: unknown[] = []
  /** Holders already read, by path: entries of one group share the walk to it. */
  readonly #read = new Map<string, string>()
  #count = 0

  step(step: Step): string {
    const value = this.#local()
    if (!step.source) {
      this.lines.push(`const ${value} = ${this.#outcome(step.missing)}`)
      return value
    }
    this.lines.push(`let ${value} = ${this.#path(step.source)}`)
    if (step.empty !== 'keep')
      this.lines.push(`if (${value} === '') ${value} = ${step.empty === 'null' ? 'null' : 'undefined'}`)
    const missing = this.#else(value, step.missing, 'undefined')
    const onNull = this.#else(value, step.null, 'null')
    if (missing) this.lines.push(`if (${value} === undefined) ${missing}`)
    // Left out or null as it came: nothing to convert. An outcome that replaces the value must not be converted either.
    this.lines.push(`${missing ? 'else ' : ''}if (${value} === null) ${onNull ?? '{}'}`)
    this.lines.push(`else ${missing ? '' : `if (${value} !== undefined) `}${this.#convert(value, step)}`)
    return value
  }

  /** An expression for the part; parts that may be left out get a local of their own. */
  tree(tree: Tree, values: readonly string[]): string {
    if (tree.kind === 'value') return values[tree.step]!
    if (tree.kind === 'array') {
      const parts = tree.parts.map((part) => (part ? this.tree(part, values) : 'undefined'))
      if (tree.parts.every((part) => part && !part.may)) return `[${parts.join(', ')}]`
      const local = this.#local()
      const only =
        parts.length === 1
          ? `${parts[0]!} === undefined ? undefined : [${parts[0]!}]`
          : `${this.#constant(list)}([${parts.join(', ')}])`
      this.lines.push(`const ${local} = ${only}`)
      return local
    }
    const parts = tree.parts.map(([name, part]) => ({
      name: literal(name),
      may: part.may,
      value: this.tree(part, values),
    }))
    const whole = `{${parts.map(({ name, value }) => `${name}: ${value}`).join(', ')}}`
    const may = parts.filter((part) => part.may)
    if (may.length === 0) return whole
    const local = this.#local()
    this.lines.push(
      `let ${local}`,
      `if (${may.map(({ value }) => `${value} !== undefined`).join(' && ')}) ${local} = ${whole}`,
      `else ${tree.may ? `if (${may.map(({ value }) => `${value} !== undefined`).join(' || ')}) ` : ''}{`,
      `${local} = {}`,
      ...parts.map(
        ({ name, value, may }) => `${may ? `if (${value} !== undefined) ` : ''}${local}[${name}] = ${value}`,
      ),
      '}',
    )
    return local
  }

  #convert(value: string, step: Step): string {
    const { transform } = step
    const failed = this.#else(value, step.invalid, 'undefined')
    const call = `${value} = ${this.#constant(transform.convert)}(${value})${failed ? `; if (${value} === undefined) ${failed}` : ''}`
    if (transform.passes === undefined) return `{ ${call} }`
    if (transform.passes === 'data')
      return `if (typeof ${value} === 'function' || typeof ${value} === 'symbol') { ${call} }`
    return `if (typeof ${value} !== '${transform.passes}') { ${call} }`
  }

  /** The statement for an outcome, or undefined when the value already is what it should be. */
  #else(value: string, outcome: Outcome, already: 'undefined' | 'null'): string | undefined {
    if (outcome === rejected) return 'return undefined'
    if (outcome === (already === 'null' ? null : undefined)) return undefined
    return `${value} = ${this.#outcome(outcome)}`
  }

  #outcome(outcome: Outcome): string {
    if (outcome === undefined) return 'undefined'
    return outcome === null ? 'null' : this.#constant(outcome)
  }

  #path(path: Path): string {
    let holder = 's'
    for (let depth = 1; depth < path.length; depth++) {
      const key = JSON.stringify(path.slice(0, depth))
      const there = this.#read.get(key)
      if (there !== undefined) {
        holder = there
        continue
      }
      const local = this.#local()
      this.lines.push(`let ${local} = ${this.#get(holder, path[depth - 1]!)}`)
      this.lines.push(`if (typeof ${local} !== 'object') ${local} = null`)
      this.#read.set(key, local)
      holder = local
    }
    return this.#get(holder, path.at(-1)!)
  }

  /** One step down; every holder but the record itself may be null. */
  #get(holder: string, segment: string | number): string {
    if (typeof segment === 'number') return `(Array.isArray(${holder}) ? ${holder}[${index(segment)}] : undefined)`
    const guard = holder === 's' ? '' : `${holder} === null ? undefined : `
    return `(${guard}${isInherited(segment) ? `${this.#constant(ownValue)}(${holder}, ${literal(segment)})` : `${holder}[${literal(segment)}]`})`
  }

  #constant(value: unknown): string {
    const at = this.constants.indexOf(value)
    if (at >= 0) return this.names[at]!
    const name = `c${this.constants.push(value) - 1}`
    this.names.push(name)
    return name
  }

  #local(): string {
    return `v${this.#count++}`
  }
}

function literal(name: string): string {
  if (name === '__proto__' || name === 'constructor' || name === 'prototype')
    throw new TypeError(`refused name ${name}`)
  return JSON.stringify(name)
}

function index(at: number): string {
  if (!Number.isInteger(at) || at < 0 || at > 999) throw new TypeError(`refused index ${at}`)
  return String(at)
}
