import type { Definition } from './definition.ts'

/**
 * What two patterns share: a name and types, never each other's code. A webhook names the topic that it feeds, a flow
 * the operation that it calls. `~types` exists for the compiler only and is never set.
 */
export type TopicHandle<Input = never, Output = unknown> = Definition<'topic'> & {
  readonly '~types'?: { readonly input: (value: Input) => void; readonly output: Output }
}

export type OperationHandle<Input = never, Output = unknown> = {
  readonly kind: 'operation'
  readonly connection: string
  readonly name: string
  readonly '~types'?: { readonly input: (value: Input) => void; readonly output: Output }
}
