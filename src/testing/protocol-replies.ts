import type { Operation } from '#patterns/connections/define.ts'

/** A plain value that is scripted as an answer, as the operation's protocol would carry it. */
export function wrapped({ spec }: Operation, value: unknown): unknown {
  return spec.graphql === undefined ? value : { data: value }
}
