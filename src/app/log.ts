import { isFault } from '#kernel/fault.ts'
import type { Level, Log } from '#kernel/log.ts'
import { redactor } from '#kernel/redact.ts'

const order: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

/**
 * One JSON line an event on standard error, masked: `{"time":…,"level":"warn","event":"subscription.dead",…}`. Control
 * characters are escaped by JSON, so an event is always one line.
 */
export function jsonLog(options: { readonly least?: Level; readonly write?: (line: string) => void } = {}): Log {
  const least = order[options.least ?? 'info']
  const write = options.write ?? ((line) => void process.stderr.write(line))
  const redact = redactor()
  return {
    write(level, event, fields = {}) {
      if (order[level] < least) return
      const shown = Object.fromEntries(
        Object.entries(fields).map(([k, v]) => [k, isFault(v) ? v.toJSON() : v instanceof Error ? v.message : v]),
      )
      write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...(redact.value(shown) as object) })}\n`)
    },
  }
}
