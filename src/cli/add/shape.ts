/**
 * What a description says about data, without the spelling of its version: OpenAPI 2.0, 3.0, 3.1 and 3.2 become the same
 * shapes. Plain JSON, so that it can be kept beside the generated file and compared with the next version.
 */
export type Shape =
  | { readonly is: 'unknown' | 'never' | 'boolean' | 'null' | 'bytes' }
  | {
      readonly is: 'string'
      readonly format?: string
      readonly least?: number
      readonly most?: number
      readonly pattern?: string
    }
  | {
      readonly is: 'number'
      readonly whole?: true
      readonly least?: number
      readonly most?: number
      readonly above?: number
      readonly below?: number
    }
  | { readonly is: 'values'; readonly values: readonly (string | number | boolean)[] }
  | { readonly is: 'list'; readonly of: Shape; readonly least?: number; readonly most?: number }
  | ObjectShape
  /** One of these; `by` names the field that tells which, and its values for each. */
  | {
      readonly is: 'union'
      readonly of: readonly Shape[]
      readonly by?: { readonly field: string; readonly values: readonly (readonly string[])[] }
    }
  /** All of these at once, where they could not be merged into one. */
  | { readonly is: 'both'; readonly of: readonly Shape[] }
  | { readonly is: 'nullable'; readonly of: Shape }
  /** May be absent altogether: an answer that has no body. */
  | { readonly is: 'optional'; readonly of: Shape }
  /** A list sent as one value, or a value sent as JSON. */
  | { readonly is: 'joined'; readonly of: Shape; readonly by: ',' | ' ' | '|' | 'json' }
  | { readonly is: 'ref'; readonly to: string }

export type ObjectShape = {
  readonly is: 'object'
  readonly fields: readonly Field[]
  /** What other fields may hold; `false`: there are none; absent: nothing was said. */
  readonly rest?: Shape | false
  /** Names that are required here and described elsewhere (beside `allOf`). */
  readonly needs?: readonly string[]
}

export type Field = {
  readonly name: string
  readonly shape: Shape
  readonly required: boolean
  /** `read`: only in answers; `write`: only in requests. */
  readonly only?: 'read' | 'write'
  readonly note?: string
}

export const unknown: Shape = { is: 'unknown' }

export function nullable(shape: Shape): Shape {
  return shape.is === 'nullable' || shape.is === 'unknown' || shape.is === 'null'
    ? shape
    : { is: 'nullable', of: shape }
}

/** One of `options`: flat, without doubles, null apart. */
export function union(options: readonly Shape[]): Shape {
  const seen = new Map<string, Shape>()
  let orNull = false
  for (const option of options) {
    const inner = option.is === 'nullable' ? option.of : option
    if (option.is === 'nullable' || option.is === 'null') orNull = true
    if (inner.is === 'unknown') return unknown
    if (inner.is === 'null' || inner.is === 'never') continue
    for (const one of inner.is === 'union' && inner.by === undefined ? inner.of : [inner]) {
      seen.set(JSON.stringify(one), one)
    }
  }
  const of = [...seen.values()]
  const one: Shape =
    of.length === 0 ? { is: orNull ? 'null' : 'unknown' } : of.length === 1 ? of[0]! : { is: 'union', of }
  return orNull ? nullable(one) : one
}
