import type { Shape } from './shape.ts'

/** One operation as it will be written: everything is decided, nothing is spelled yet. */
export type Operation = {
  readonly name: string
  /** `GET /v1/charges/{charge}`, as the description has it: what `--only` is compared with. */
  readonly line: string
  /** `GET /v1/charges/:charge`, as a connection has it. */
  readonly http: string
  readonly id?: string
  readonly tags: readonly string[]
  readonly note: string
  readonly deprecated?: true
  readonly input?: Shape
  readonly output?: Shape
  readonly query: readonly string[]
  readonly body?: 'json' | 'form'
  readonly bodyField?: string
  readonly answer?: 'text' | 'bytes'
  /** Header of the idempotency key. */
  readonly key?: string
  readonly headers: Readonly<Record<string, string>>
  /** Input field → header. */
  readonly headerFields: Readonly<Record<string, string>>
  readonly pages?: PageGuess
  /** What the description says and the connection does not do. */
  readonly remarks: readonly string[]
  /** JSON of an input, and of an answer, in the description's own examples. */
  readonly example?: string
  readonly exampleAnswer?: string
}

export type PageGuess = {
  readonly style: 'cursor' | 'page' | 'offset' | 'link'
  readonly param?: string
  readonly next?: string
  readonly after?: string
  readonly more?: string
  readonly items?: string
  readonly first?: number
}

/** An operation that was not taken, and why. */
export type LeftOut = { readonly line: string; readonly why: string }

/** Where tokens of OAuth 2.0 come from: https addresses, without user or fragment. */
export type OAuthGuess = {
  readonly issuer?: string
  readonly authorizationEndpoint?: string
  readonly tokenEndpoint?: string
  /** Those that the chosen operations ask for. */
  readonly scopes: readonly string[]
}

export type AuthGuess =
  | {
      readonly kind: 'client-credentials' | 'authorization-code'
      readonly oauth: OAuthGuess
      readonly remarks: readonly string[]
    }
  | { readonly kind: 'bearer' | 'none'; readonly remarks: readonly string[] }
  | { readonly kind: 'basic'; readonly remarks: readonly string[] }
  | {
      readonly kind: 'api-key'
      readonly at: 'header' | 'query'
      readonly field: string
      readonly remarks: readonly string[]
    }

/** A description, read. */
export type Model = {
  readonly title: string
  readonly version: string
  readonly spec: string
  readonly license?: string
  readonly terms?: string
  readonly baseUrl: string
  readonly serverRemarks: readonly string[]
  readonly auth: AuthGuess
  /** Queries are spelled with brackets: `created[gt]=1`, `expand[]=a`. */
  readonly brackets: boolean
  readonly operations: readonly Operation[]
  readonly leftOut: readonly LeftOut[]
  /** All operations of the description, chosen or not: `GET /v1/charges`. */
  readonly lines: readonly string[]
  readonly schemas: Readonly<Record<string, Shape>>
  readonly webhooks: readonly string[]
  readonly rateHeaders: readonly string[]
}
