import type { Random } from '#kernel/random.ts'
import type { Redactor } from '#kernel/redact.ts'
import { credentialName } from '../auth/auth.ts'
import type { ConnectionOptions, OperationSpec } from '../define.ts'
import type { Masking } from './masking.ts'
import { operationMasking } from './options.ts'
import { keptBody, type Body } from './record.ts'

/** Decides for one connection which calls are recorded, and what of them is not shown. */
export class Recorder {
  readonly #options: ConnectionOptions
  readonly #random: Random
  readonly #redact: Redactor
  readonly #sample: number
  readonly #maskings = new Map<OperationSpec, Masking>()
  readonly #bodies: boolean
  /** A header or a parameter of the query that carries the credential, under a name that no rule knows. */
  readonly credentialName: string | undefined

  constructor(options: ConnectionOptions, runtime: { readonly random: Random; readonly redact: Redactor }) {
    const { auth, record } = options
    this.#options = options
    this.#random = runtime.random
    this.#redact = runtime.redact
    this.#sample = record?.sample ?? 1
    this.#bodies = record?.bodies !== 'none'
    this.credentialName = credentialName(auth)
  }

  /** What of a body is kept until the record is written. */
  body(body: Body): Body {
    if (body === undefined || body.length === 0) return undefined
    if (!this.#bodies) return `[${body.length} bytes]`
    return typeof body === 'string' ? body : keptBody(body)
  }

  /** What went well at once is recorded by chance, everything else always. */
  keeps(outcome: string, attempts: number): boolean {
    if (this.#sample === 1 || outcome !== 'ok' || attempts > 1) return true
    return this.#random.float() < this.#sample
  }

  /** Of what was answered out of the cache a hundredth of that share: there may be very many of them, all alike. */
  keepsHit(): boolean {
    return this.#random.float() < this.#sample / 100
  }

  /** Made with the first record of the operation: a schema is asked once. */
  masking(spec: OperationSpec): Masking {
    let masking = this.#maskings.get(spec)
    if (masking === undefined) {
      masking = operationMasking(this.#options, spec, this.#redact)
      this.#maskings.set(spec, masking)
    }
    return masking
  }
}
