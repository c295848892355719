import { notOneValue, type Found, type Option, type RawEntry } from './document.ts'
import { parsePath, type Path } from './path.ts'
import type { Outcome } from './plan.ts'

/** Reads the options of one entry; every complaint goes to `problems` with its place. */
export class OptionReader {
  readonly #entry: RawEntry
  readonly #problems: Found[]
  ok = true

  constructor(entry: RawEntry, problems: Found[]) {
    this.#entry = entry
    this.#problems = problems
  }

  has(name: string): boolean {
    return this.#entry.options.has(name)
  }

  value(name: string): unknown {
    return this.#entry.options.get(name)?.value
  }

  wrong(name: string, message: string, fix: string): undefined {
    this.ok = false
    const option: Option | undefined = this.#entry.options.get(name)
    this.#problems.push({
      at: `mappings[${this.#entry.index}]${name ? `.${name}` : ''}`,
      where: option?.where ?? this.#entry.where,
      message,
      fix,
    })
    return undefined
  }

  text(name: string): string | undefined {
    if (!this.has(name)) return undefined
    const value = this.value(name)
    return typeof value === 'string'
      ? value
      : this.wrong(name, 'is not text', 'write text, in quotes if it looks like a number')
  }

  flag(name: string): boolean {
    const value = this.value(name)
    if (typeof value === 'boolean' || !this.has(name)) return value === true
    this.wrong(name, 'is neither true nor false', 'write true or false')
    return false
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T | undefined {
    if (!this.has(name)) return undefined
    // YAML reads a bare `null:` choice of null as the null value.
    const value = this.value(name) === null ? 'null' : this.value(name)
    const choice = choices.find((c) => c === value)
    return choice ?? this.wrong(name, 'is not one of the choices', `write ${choices.join(', ')}`)
  }

  path(name: string): Path | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const path = parsePath(text)
    return 'reason' in path ? this.wrong(name, path.reason, path.fix) : path
  }

  /** Text, number, boolean or null: what a default or a constant may be. */
  scalar(name: string): Outcome {
    const value = this.value(name)
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
    if (typeof value === 'number' && Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER)
      return value === 0 ? 0 : value
    return this.wrong(
      name,
      value === notOneValue ? 'is a list or an object' : 'is not a value',
      'write text, a number, true, false or null',
    )
  }
}
