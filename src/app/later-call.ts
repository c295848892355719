import type { Call, CallOptions, Receipt } from '#kernel/context.ts'
import type { OperationHandle, TopicHandle } from '#kernel/handle.ts'
import type { Position } from '#kernel/message.ts'
import { laterTopic, type LaterBody } from '#patterns/connections/later/later.ts'

export type LaterOptions = CallOptions<true, never>

/** A call that is to be made later, ready to be published. */
export type Deferred = {
  readonly topic: TopicHandle<LaterBody>
  readonly data: LaterBody
  readonly options: { readonly id: string; readonly key?: string; readonly delay?: NonNullable<LaterOptions['delay']> }
}

/** The verb over both of its ways. What it answers is the caller's business: the type says which of the two it asked for. */
export function eitherCall(
  run: (
    operation: OperationHandle<never, unknown>,
    input: unknown,
    options: CallOptions | LaterOptions,
  ) => Promise<unknown>,
): Call {
  // `run` resolves with a receipt where `later` is set, with the answer otherwise.
  return ((operation, input, options = {}) => run(operation, input, options as CallOptions | LaterOptions)) as Call
}

export function isLater(options: CallOptions | LaterOptions): options is LaterOptions {
  return options.later === true
}

export function laterMessage(operation: OperationHandle, input: unknown, options: LaterOptions, id: string): Deferred {
  const { key, order, delay, deliver } = options
  return {
    topic: { kind: 'topic', name: laterTopic(operation.connection) },
    data: {
      operation: operation.name,
      ...(input === undefined ? {} : { input }),
      key: key ?? id,
      ...(deliver === undefined ? {} : { deliver: deliver.name }),
    },
    options: {
      id: key === undefined ? id : `${operation.name}/${key}`,
      ...(order === undefined ? {} : { key: order }),
      ...(delay === undefined ? {} : { delay }),
    },
  }
}

export function receipt(made: Deferred, position: Position): Receipt {
  return { ...position, id: made.options.id }
}
