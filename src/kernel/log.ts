export type Level = 'debug' | 'info' | 'warn' | 'error'

/** What the engine tells its operator: one structured line an event, masked before it gets here. */
export interface Log {
  write(level: Level, event: string, fields?: Readonly<Record<string, unknown>>): void
}
