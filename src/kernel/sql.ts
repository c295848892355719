/** A statement with its values apart: values never become part of the text, so they cannot be read as SQL. */
export type Sql = { readonly text: readonly string[]; readonly values: readonly SqlValue[] }
export type SqlValue = string | number | bigint | boolean | null | Uint8Array
export type SqlRow = Readonly<Record<string, string | number | bigint | null | Uint8Array>>

/**
 * Tags a statement: ``sql`insert into orders (id, total) values (${id}, ${total})` ``. Each `${}` is a bound parameter.
 * Objects are refused by the compiler: turn them into JSON text yourself.
 */
export function sql(text: TemplateStringsArray, ...values: readonly SqlValue[]): Sql {
  return { text, values }
}
