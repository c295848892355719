import { styleText } from 'node:util'

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan'

/** Colours a text, or returns it as it is. */
export type Paint = (style: Style, text: string) => string

/** Where a command writes. A test hands in its own. */
export interface Terminal {
  /** Results: standard output, a line feed at the end included. */
  out(line: string): void
  /** Everything that is not a result: standard error. */
  err(line: string): void
  /** Columns of standard output; undefined when it is not a terminal, and lines are not cut. */
  readonly width: number | undefined
  readonly rows: number | undefined
  readonly paint: Paint
  readonly paintError: Paint
}

/** The process's own. Colour only on a terminal, and as NO_COLOR, NODE_DISABLE_COLORS and FORCE_COLOR say. */
export function processTerminal(): Terminal {
  const { stdout, stderr } = process
  const painter =
    (stream: NodeJS.WriteStream): Paint =>
    (style, text) =>
      styleText(style, text, { stream })
  return {
    out: (line) => void stdout.write(`${line}\n`),
    err: (line) => void stderr.write(`${line}\n`),
    get width() {
      return stdout.isTTY ? stdout.columns : undefined
    },
    get rows() {
      return stdout.isTTY ? stdout.rows : undefined
    },
    paint: painter(stdout),
    paintError: painter(stderr),
  }
}

export const unpainted: Paint = (_, text) => text
