import { key } from './text.ts'

/**
 * A piece of TypeScript that knows how to break: on one line where it fits, else one item a line. Two-space indents, no
 * semicolons, trailing commas, as the formatters of this project print it.
 */
export type Code = string | Group
type Group = {
  readonly open: string
  readonly items: readonly Item[]
  readonly close: string
  readonly padded: boolean
  /** Between items of types stands a semicolon on one line, and nothing at the end of a line. */
  readonly type?: true
  /** Broken even where it would fit. */
  readonly always?: true
}
export type Item = { readonly note?: readonly string[]; readonly key?: string; readonly code: Code }

const width = 120

/** `open({ a: …, b: … })close` */
export function record(open: string, items: readonly Item[], close: string): Code {
  return { open, items, close, padded: true }
}

/** `open[…, …]close` or `open(…, …)close`. */
export function list(open: string, codes: readonly Code[], close: string): Code {
  return { open, items: codes.map((code) => ({ code })), close, padded: false }
}

/** As `record`, one item a line. */
export function lines(items: readonly Item[]): Code {
  return { open: '{', items, close: '}', padded: true, always: true }
}

/** `{ a: string; b?: number }`, whose keys are spelled already. */
export function typeRecord(items: readonly Item[]): Code {
  return { open: '{', items, close: '}', padded: true, type: true }
}

/** The code with `.optional()` or the like behind it. */
export function chained(code: Code, call: string): Code {
  return typeof code === 'string' ? code + call : { ...code, close: code.close + call }
}

/** Prints code that begins at column `at` of a line indented by `indent`, with `after` characters behind it. */
export function print(code: Code, indent = 0, at = indent, after = 0): string {
  const flat = typeof code === 'object' && code.always ? undefined : flatten(code, width - at - after)
  if (flat !== undefined) return flat
  if (typeof code === 'string') return code
  const { open, items, close } = code
  const only = items[0]
  // `z.array(z.object({`: a lone argument hugs its parentheses.
  if (items.length === 1 && !code.padded && only?.key === undefined && typeof only?.code === 'object') {
    return open + print(only.code, indent, at + open.length, close.length) + close
  }
  const inner = ' '.repeat(indent + 2)
  const lines = items.flatMap((item) => {
    const name = spelled(code, item)
    const text = print(item.code, indent + 2, indent + 2 + name.length, 1)
    const notes = (item.note ?? []).flatMap((n) => n.split('\n'))
    return [...notes.map((n) => `${inner}${n}\n`), `${inner}${name}${text}${code.type ? '' : ','}\n`]
  })
  return `${open}\n${lines.join('')}${' '.repeat(indent)}${close}`
}

/** All of it on one line of at most `room` characters; undefined when it does not fit, or has a comment. */
function flatten(code: Code, room: number): string | undefined {
  if (typeof code === 'string') return code.length <= room && !code.includes('\n') ? code : undefined
  if (code.always) return undefined
  let text = ''
  for (const item of code.items) {
    if (item.note !== undefined && item.note.length > 0) return undefined
    const name = spelled(code, item)
    const one = flatten(item.code, room - text.length)
    if (one === undefined) return undefined
    text += `${text === '' ? '' : code.type ? '; ' : ', '}${name}${one}`
    if (text.length > room) return undefined
  }
  const pad = code.padded && text !== '' ? ' ' : ''
  const all = code.open + pad + text + pad + code.close
  return all.length <= room ? all : undefined
}

function spelled(code: Group, item: Item): string {
  if (item.key === undefined) return ''
  return `${code.type ? item.key : key(item.key)}: `
}
