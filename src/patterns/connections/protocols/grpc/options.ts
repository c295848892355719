import type { Problem } from '#kernel/definition.ts'
import { fieldsOf } from '../../check/parts.ts'
import { methodOf } from './proto.ts'

export function grpcProblems(path: string, spec: Readonly<Record<string, unknown>>): Problem[] {
  const { grpc, http, stream } = spec
  if (grpc === undefined) {
    const as = typeof stream === 'object' && stream !== null ? (stream as { as?: unknown }).as : stream
    return as === 'grpc'
      ? [{ path, message: 'is missing for a stream of gRPC', fix: 'add the root of the .proto' }]
      : []
  }
  const problems: Problem[] = []
  const add = (message: string, fix: string): void => void problems.push({ path, message, fix })
  for (const name of ['body', 'answer', 'query', 'graphql', 'soap', 'pages'])
    if (spec[name] !== undefined) add(`has no use for \`${name}\``, 'remove it')
  const method = methodOf(grpc, http)
  if ('problem' in method) {
    add(method.problem, "use http: 'POST /shop.Stock/Get', grpc: await protobuf.load('stock.proto')")
    return problems
  }
  const as = typeof stream === 'object' && stream !== null ? (stream as { as?: unknown }).as : stream
  if (method.streams && as !== 'grpc') add('has a method that streams its answers', "add stream: 'grpc'")
  if (!method.streams && as !== undefined) add('has a method that answers once', 'remove `stream`')
  for (const name of fieldsOf(spec['input']) ?? [])
    if (!Object.hasOwn(method.request.fields, name))
      add(
        `has no field ${name}, which the input has`,
        'remove it from the input schema (fields are camelCase unless loaded with keepCase)',
      )
  return problems
}
