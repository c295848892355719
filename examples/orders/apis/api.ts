/** One of the three stand-ins: it answers synchronously from memory; slowness and faults are laid over it by `server.ts`. */
export type Api = {
  readonly name: 'payments' | 'crm' | 'warehouse'
  answer(request: ApiRequest): ApiReply
  /** Requests that asked again for what had been done before, and did not do it twice. */
  absorbed(): number
}

export type ApiRequest = {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly idempotencyKey: string | undefined
  readonly body: Record<string, unknown>
}

export type ApiReply = { readonly status: number; readonly body: unknown }

/** One effect in the outside world: a line of the ledger. The audit wants every one exactly once. */
export type Effect = {
  readonly api: Api['name']
  readonly effect: 'transfer' | 'reversal' | 'contact' | 'stage' | 'note' | 'reservation' | 'shipment'
  /** The business key: `5000001001`, `5000001001/paid`. */
  readonly key: string
  /** For notes: the channel, within which the order of effects is the order of arrival. */
  readonly lane?: string
}

export type Ledger = { write(effect: Effect): void }

export const refuse = (status: number, code: string, message: string): ApiReply => ({
  status,
  body: { error: { code, message } },
})
