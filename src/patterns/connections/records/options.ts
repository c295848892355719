import { checkOptions, type Problem } from '#kernel/definition.ts'
import type { Redactor } from '#kernel/redact.ts'
import type { ConnectionOptions, OperationSpec } from '../define.ts'
import { markedFields, masking, type Masking } from './masking.ts'

export type RecordOptions = {
  /**
   * Share of the calls that went well at their first attempt of which a record is kept, 0 to 1. All others are always recorded. Default 1. Of
   * those answered out of the cache a hundredth of it.
   */
  readonly sample?: number
  /** `none` leaves bodies out of the records; a rehearsal and `calls resend` then have nothing to go by. Default: 4,096 characters of each. */
  readonly bodies?: 'none'
  /** More names of fields to mask whole, wherever they stand. Those that a schema marks (`sensitive: true`) are masked anyway. */
  readonly mask?: readonly string[]
  /** `keep`: e-mail addresses and phone numbers stay readable. Default: masked. */
  readonly personal?: 'keep'
}

export function recordProblems(path: string, record: unknown): Problem[] {
  if (record === undefined) return []
  const problems = checkOptions(path, record, ['sample', 'bodies', 'mask', 'personal'])
  if (typeof record !== 'object' || record === null) return problems
  const { sample, bodies, mask, personal } = record as Readonly<Record<string, unknown>>
  const add = (name: string, message: string, fix: string): void => {
    problems.push({ path: `${path}.${name}`, message, fix })
  }
  if (sample !== undefined && !(typeof sample === 'number' && sample >= 0 && sample <= 1))
    add('sample', 'is not a share', 'use a number from 0 to 1')
  if (bodies !== undefined && bodies !== 'none') add('bodies', 'has an unknown value', "leave it out, or use 'none'")
  if (personal !== undefined && personal !== 'keep')
    add('personal', 'has an unknown value', "leave it out, or use 'keep'")
  if (mask !== undefined && !(Array.isArray(mask) && mask.every((m) => typeof m === 'string' && m !== '')))
    add('mask', 'is not a list of names', "use ['iban', 'birthday']")
  return problems
}

/** What records of this operation must not show. */
export function operationMasking(options: ConnectionOptions, spec: OperationSpec, redact: Redactor): Masking {
  const { record } = options
  return masking({
    redact,
    personal: record?.personal,
    fields: [...(record?.mask ?? []), ...markedFields(spec.input, 'input'), ...markedFields(spec.output, 'output')],
  })
}
