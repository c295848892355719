import { unpainted, type Terminal } from './terminal.ts'

export type FakeTerminal = Terminal & { readonly lines: string[]; readonly errors: string[] }

/** A terminal that remembers; no columns are no terminal, as in a pipe. */
export function fakeTerminal(size: { readonly width?: number; readonly rows?: number } = {}): FakeTerminal {
  const lines: string[] = []
  const errors: string[] = []
  return {
    lines,
    errors,
    out: (line) => void lines.push(...line.split('\n')),
    err: (line) => void errors.push(...line.split('\n')),
    width: size.width,
    rows: size.rows,
    paint: unpainted,
    paintError: unpainted,
  }
}
