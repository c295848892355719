import { fault } from '#kernel/fault.ts'

/** The value as JSON. Throws `schema.invalid` for what has none: a cycle, a bigint, undefined, a function. */
export function jsonText(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    // A cycle or a bigint. The message of the platform may quote property names only.
    throw fault('schema.invalid', { message: 'the input cannot be written as JSON', cause, detail: { issues: [] } })
  }
  if (text === undefined) throw notFields(value)
  return text
}

export function notFields(value: unknown): Error {
  const message = `the input must be an object with fields, it is ${Array.isArray(value) ? 'a list' : typeof value}`
  return fault('schema.invalid', { message, detail: { issues: [{ path: '', message }] } })
}
