export { checkMapping } from './check.ts'
export { lineage, printLineage, type Lineage } from './lineage.ts'
export { loadMapping } from './load.ts'
import { define, type Definition } from '#kernel/definition.ts'
import type { InputOf, OutputOf, Schema } from '#kernel/schema.ts'
import type { CompileMode } from './engine.ts'
import type { PhoneNormaliser } from './phone.ts'
import type { Reject } from './reject.ts'
import { mapMany, mapOne } from './run.ts'
import { keepState, type Given, type State, type Table } from './state.ts'

/**
 * A mapping: one shape of record to another, as typed arrows or as a YAML document.
 *
 * It is a pure, synchronous function and a frozen definition. It is not a script: a document has paths, seven transforms
 * and no expressions; what they cannot say is said by an arrow. It does no I/O: a document that lies in a file is read
 * by `loadMapping` when the app starts.
 *
 * Words: *arrow* (a pure function from the source to one field), *transform* (a named conversion of a document), *reject*
 * (why one record was not mapped: field, path, value, rule, reason), *lineage* (which source paths a field is made of).
 */
export type Mapping<Source = never, Target = unknown> = ((source: Source) => Target) &
  Definition<'mapping'> & {
    readonly from?: Schema
    readonly to?: Schema
    /** Maps each record on its own and never throws for one. Keeps the order; at most 20 rejects a record. */
    many(records: Iterable<Source>): Mapped<Target>
  }

export type Mapped<Target> = {
  readonly mapped: Target[]
  /** One row a field: a record with two bad fields has two rows of the same `index`. */
  readonly rejects: Reject[]
  /** Records that were not mapped. `mapped.length + rejected` is the number of records given. */
  readonly rejected: number
}

/** One arrow for each field of the target's input; optional fields may be left out. */
export type Fields<Source, Target> = { readonly [K in keyof Target]: (source: Source) => Target[K] }

/** The source that satisfies every annotated arrow. */
type SourceOf<F> = {
  [K in keyof F]: F[K] extends (source: infer S) => unknown ? (source: S) => void : never
}[keyof F] extends (source: infer S) => void
  ? S
  : never

/** The target that arrows give when no schema says it. */
type TargetOf<F> = { -readonly [K in keyof F]: F[K] extends (...source: never[]) => infer V ? V : never }

export type DocumentOptions<To extends Schema> = {
  /** YAML or JSON text (at most 1 MiB, 1,000 entries), the parsed object, or a path or URL that `loadMapping` reads. */
  readonly document: string | URL | object
  /** The tables that `lookup` names. Keys are compared as text. */
  readonly tables?: Readonly<Record<string, Table>>
  /** Replaces our own phone normaliser, for instance by libphonenumber. What is not E.164 is refused. */
  readonly phone?: PhoneNormaliser
  /** Checks each mapped record; its issues become rejects with their field. Must be synchronous. */
  readonly to?: To
  /** `auto` (default) generates code where the platform allows it; `closures` never does, at about half of the speed. */
  readonly compile?: CompileMode
}

/**
 * Defines a mapping. `toInvoice(order)` maps one record and throws `mapping.rejected` with the reasons in
 * `detail.rejects`; `toInvoice.many(orders)` gives the mapped records and the rejects of the others.
 *
 * Arrows get the output of `from` (which is for types and lineage: the source is not validated again) and give the input
 * of `to`, which then validates the record. An arrow that returns undefined leaves its field out; one that throws rejects
 * the record. Options, transforms and outcomes of a document are described in `entries.ts`, its paths in `path.ts`, its
 * date formats in `format.ts`. A document called before it was loaded throws `mapping.unloaded`, a wrong one
 * `mapping.document`; `checkMapping` lists what is wrong without calling it.
 *
 * @example
 * const toInvoice = mapping('order-to-invoice', {
 *   from: Order, to: Invoice,
 *   fields: { number: (o) => `ORD-${o.id}`, cents: (o) => Math.round(o.total * 100), contact: (o) => o.email },
 * })
 */
export function mapping<To extends Schema = Schema<unknown, Record<string, unknown>>>(
  name: string,
  options: DocumentOptions<To>,
): Mapping<unknown, OutputOf<To>>
export function mapping<From extends Schema, F extends Readonly<Record<string, (source: OutputOf<From>) => unknown>>>(
  name: string,
  options: { readonly from: From; readonly fields: F },
): Mapping<OutputOf<From>, TargetOf<F>>
export function mapping<To extends Schema, F extends Fields<never, InputOf<To>>>(
  name: string,
  options: { readonly to: To; readonly fields: F & { readonly [K in Exclude<keyof F, keyof InputOf<To>>]: never } },
): Mapping<SourceOf<F>, OutputOf<To>>
export function mapping<F extends Readonly<Record<string, (source: never) => unknown>>>(
  name: string,
  options: { readonly fields: F },
): Mapping<SourceOf<F>, TargetOf<F>>
// Last, because the compiler explains a mistake by the last overload: this is the one that people write.
export function mapping<From extends Schema, To extends Schema>(
  name: string,
  options: { readonly from: From; readonly to: To; readonly fields: Fields<OutputOf<From>, InputOf<To>> },
): Mapping<OutputOf<From>, OutputOf<To>>
export function mapping(name: string, options: object): Mapping<unknown> {
  // A snapshot: what the caller does to the options later changes nothing.
  const { fields, ...others }: Given = options ?? {}
  const given: Given = fields === undefined ? others : { ...others, fields: { ...fields } }
  const state: State = { name, given, text: undefined, planned: undefined, engine: undefined }
  const call = mapOne(state)
  Object.defineProperty(call, 'name', { value: name, enumerable: true })
  Object.assign(call, {
    kind: 'mapping',
    ...(given.from ? { from: given.from } : {}),
    ...(given.to ? { to: given.to } : {}),
    many: mapMany(state),
  })
  keepState(call, state)
  // `define` freezes objects; a function it only marks.
  return Object.freeze(define(call as unknown as Mapping<unknown>))
}
