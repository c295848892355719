import { escapeControls } from './escape.ts'
import { cut } from './width.ts'

/** Characters of a value that a line of a list shows: the whole value is one command away. */
const previewLength = 200

/** `2026-01-01 12:03:04Z` of an RFC 3339 time: seconds are enough for a list, the exact time stands in the long form. */
export function shownTime(time: string | number): string {
  const iso = typeof time === 'number' ? new Date(time).toISOString() : time
  return `${iso.slice(0, 19).replace('T', ' ')}Z`
}

const units = ['KiB', 'MiB', 'GiB', 'TiB'] as const

export function shownBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]!}`
}

/** A value on one line, cut at 200 columns. */
export function preview(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return cut(escapeControls(text.slice(0, previewLength * 4)), previewLength)
}

/** Indented JSON whose strings hold nothing that drives a terminal; the line feeds are ours. */
export function prettyJson(value: unknown): string[] {
  const text = JSON.stringify(value, null, 2) ?? 'null'
  return text.split('\n').map(escapeJson)
}

/** JSON on one line for programs. What JSON.stringify leaves raw (C1 controls, direction marks) is escaped as JSON does. */
export function jsonLine(value: unknown): string {
  return escapeJson(JSON.stringify(value) ?? 'null')
}

function escapeJson(text: string): string {
  return text.replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** `name  value` lines, names padded to the longest; a value of several lines is indented below its name. */
export function fields(
  entries: readonly (readonly [name: string, value: string | readonly string[] | undefined])[],
): string[] {
  const shown = entries.filter((e): e is readonly [string, string | readonly string[]] => e[1] !== undefined)
  const width = Math.max(0, ...shown.filter(([, v]) => typeof v === 'string').map(([name]) => name.length))
  return shown.flatMap(([name, value]) =>
    typeof value === 'string'
      ? [`${name.padEnd(width)}  ${escapeControls(value)}`]
      : [name, ...value.map((line) => `  ${line}`)],
  )
}

/** `1 message`, `2 messages`. */
export function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
