import { escapeControls } from './escape.ts'
import type { Paint, Style } from './terminal.ts'
import { cut, displayWidth } from './width.ts'

export type Column = {
  readonly title: string
  /** Default left; numbers stand right. */
  readonly align?: 'right'
  /** The fewest columns that it may be narrowed to when the terminal is too small. Absent: it keeps its width. */
  readonly least?: number
}

export type Cell = string | number | { readonly text: string; readonly style: Style }

const gap = '  '

/**
 * Rows as aligned lines under their titles, without borders. Every value is escaped; widths are columns on the terminal.
 * With a `width`, columns that allow it are narrowed, the widest first, and what still does not fit is cut off with `…`.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  options: { readonly width?: number | undefined; readonly paint: Paint },
): string[] {
  const texts = rows.map((row) => columns.map((_, i) => escapeControls(textOf(row[i]))))
  const natural = columns.map((c, i) => Math.max(displayWidth(c.title), ...texts.map((row) => displayWidth(row[i]!))))
  const widths = options.width === undefined ? natural : fit(columns, natural, options.width)
  const line = (values: readonly string[], styles: readonly (Style | undefined)[]): string => {
    const cells = values.map((value, i) => {
      const shown = cut(value, widths[i]!)
      const space = ' '.repeat(widths[i]! - displayWidth(shown))
      const styled = styles[i] === undefined ? shown : options.paint(styles[i], shown)
      if (columns[i]!.align === 'right') return space + styled
      return i === columns.length - 1 ? styled : styled + space
    })
    return cells
      .filter((_, i) => widths[i]! > 0)
      .join(gap)
      .trimEnd()
  }
  const titles = line(
    columns.map((c) => c.title.toUpperCase()),
    columns.map(() => 'dim' as const),
  )
  return [
    titles,
    ...texts.map((values, r) =>
      line(
        values,
        columns.map((_, i) => styleOf(rows[r]![i])),
      ),
    ),
  ]
}

/** Narrows column by column until the line fits: the widest gives first, none below its least. Pure. */
export function fit(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural]
  const least = columns.map((c, i) => Math.min(natural[i]!, c.least ?? natural[i]!))
  for (let over = total(widths) - width; over > 0; over--) {
    let widest = -1
    for (let i = 0; i < widths.length; i++) {
      if (widths[i]! > least[i]! && (widest < 0 || widths[i]! > widths[widest]!)) widest = i
    }
    if (widest < 0) break
    widths[widest]!--
  }
  // Nothing is left to narrow: columns at the end give way, to nothing if need be.
  for (let i = widths.length - 1; i > 0; i--) {
    const over = total(widths) - width
    if (over <= 0) break
    widths[i] = Math.max(0, widths[i]! - over)
  }
  if (total(widths) > width) widths[0] = Math.max(1, width)
  return widths
}

function total(widths: readonly number[]): number {
  const shown = widths.filter((w) => w > 0)
  return shown.reduce((sum, w) => sum + w, 0) + gap.length * Math.max(0, shown.length - 1)
}

function textOf(cell: Cell | undefined): string {
  return typeof cell === 'object' ? cell.text : String(cell ?? '')
}

function styleOf(cell: Cell | undefined): Style | undefined {
  return typeof cell === 'object' ? cell.style : undefined
}
