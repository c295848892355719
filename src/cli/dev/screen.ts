/**
 * A few lines at the foot of the terminal that are drawn anew, and a log that scrolls above them. Writes nothing but cursor
 * movement of its own: what is handed in has been escaped.
 */
export class Screen {
  readonly #write: (text: string) => void
  #drawn: readonly string[] = []

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  draw(lines: readonly string[]): void {
    this.#write(this.#clear() + lines.map((line) => `${line}\n`).join(''))
    this.#drawn = lines
  }

  /** One line above what is drawn. */
  print(line: string): void {
    this.#write(`${this.#clear()}${line}\n${this.#drawn.map((l) => `${l}\n`).join('')}`)
  }

  #clear(): string {
    return this.#drawn.length === 0 ? '' : `\u001b[${this.#drawn.length}A\r\u001b[0J`
  }
}
