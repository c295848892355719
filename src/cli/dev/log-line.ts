import { escapeControls } from '../escape.ts'
import type { Paint } from '../terminal.ts'

export type LogEvent = {
  readonly time: string
  readonly level: string
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A line of `jsonLog`, or undefined for anything else that a program prints. */
export function parseLogLine(line: string): LogEvent | undefined {
  if (!line.startsWith('{"time":')) return undefined
  try {
    const { time, level, event, ...fields } = JSON.parse(line) as Record<string, unknown>
    if (typeof time !== 'string' || typeof level !== 'string' || typeof event !== 'string') return undefined
    return { time, level, event, fields }
  } catch {
    return undefined
  }
}

/** `12:03:04 warn subscription.dead subscription=billing fault=connection.rejected: They refused …` */
export function printLogEvent(e: LogEvent, paint: Paint): string {
  const level = e.level === 'error' ? paint('red', e.level) : e.level === 'warn' ? paint('yellow', e.level) : e.level
  return `${paint('dim', e.time.slice(11, 19))} ${level} ${paint('bold', escapeControls(e.event))} ${summary(e.fields)}`.trimEnd()
}

/** The fields on one line, escaped; a fault by code and message. */
export function summary(fields: LogEvent['fields']): string {
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${short(value)}`)
  return escapeControls(shown.join(' '))
}

function short(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'object' && value !== null && 'code' in value && 'message' in value) {
    return `${String(value.code)}: ${String(value.message)}`
  }
  return JSON.stringify(value) ?? ''
}
