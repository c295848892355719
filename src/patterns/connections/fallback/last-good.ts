import type { HttpResponse } from '#kernel/http.ts'
import { Kept } from '../cache/kept.ts'

/** When it was given, in monotonic milliseconds. */
export type Good = { readonly response: HttpResponse; readonly at: number }

/** The last good answers of a connection, as bytes. */
export class LastGood {
  readonly #kept = new Kept<Good>(1_000, 8_388_608)

  put(name: string, response: HttpResponse, at: number): void {
    this.#kept.put(name, { response, at }, response.body.byteLength)
  }

  get(name: string): Good | undefined {
    return this.#kept.get(name)
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
