export type Cell = string | number

/** Rows under a head, columns aligned: text to the left, numbers to the right. Two spaces between. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => String(row[i] ?? '').length)))
  const numeric = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof (row[i] ?? 0) === 'number'))
  const line = (cells: readonly Cell[]): string =>
    cells
      .map((cell, i) => (numeric[i] ? String(cell).padStart(widths[i] ?? 0) : String(cell).padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line)]
}

/** `█████░░░░░` */
export function bar(part: number, whole: number, width: number): string {
  const full = whole > 0 ? Math.round((Math.min(part, whole) / whole) * width) : 0
  return '█'.repeat(full) + '░'.repeat(width - full)
}

/** `1:05` */
export function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
