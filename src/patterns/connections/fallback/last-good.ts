import type { HttpResponse } from '#kernel/http.ts'

const mostAnswers = 1_000
const mostBytes = 8_388_608

type Kept = { readonly response: HttpResponse; readonly at: number }

/** The last good answers of a connection, as bytes; the one that was not needed for longest goes first. */
export class LastGood {
  readonly #kept = new Map<string, Kept>()
  #bytes = 0

  /** `at`: monotonic milliseconds. */
  put(name: string, response: HttpResponse, at: number): void {
    this.#drop(name)
    if (response.body.byteLength > mostBytes / 8) return
    this.#kept.set(name, { response, at })
    this.#bytes += response.body.byteLength
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= mostAnswers && this.#bytes <= mostBytes) return
      this.#drop(oldest)
    }
  }

  get(name: string): Kept | undefined {
    return this.#kept.get(name)
  }

  #drop(name: string): void {
    const kept = this.#kept.get(name)
    if (kept === undefined) return
    this.#kept.delete(name)
    this.#bytes -= kept.response.body.byteLength
  }
}

/** What an answer is kept under: the same operation with the same input. Undefined where the input is no JSON. */
export function answerName(operation: string, input: unknown): string | undefined {
  try {
    return JSON.stringify([operation, input])
  } catch {
    return undefined
  }
}
