import { checkOptions, type Problem } from '#kernel/definition.ts'
import { fieldsOf } from '../../check/parts.ts'
import type { Pages } from '../../paging/paging.ts'
import { readDocument, type Document } from './document.ts'

/**
 * A GraphQL operation. Its input are the variables, its output is `data`. A query may be repeated, a mutation like any POST only
 * with a key, by nature or with `verify`.
 */
export type GraphqlOptions = {
  /** One query or mutation, with the fragments that it uses. At most 100,000 characters. */
  readonly document: string
  /**
   * What an answer with both data and errors is. `fail`: a fault by the code of the errors. `accept`: the output is then always
   * `{ data, errors }`, so that nobody takes half an answer for a whole one. Default `fail`. An answer without data always fails.
   */
  readonly partial?: 'fail' | 'accept'
}

export function graphqlOptions(graphql: string | GraphqlOptions): GraphqlOptions {
  return typeof graphql === 'string' ? { document: graphql } : graphql
}

/** The document of an operation that has a readable one. */
export function documentOf(spec: { readonly graphql?: string | GraphqlOptions }): Document | undefined {
  if (spec.graphql === undefined) return undefined
  const document = readDocument(typeof spec.graphql === 'object' ? spec.graphql?.document : spec.graphql)
  return 'problem' in document ? undefined : document
}

/**
 * Paging of a Relay connection: `relayPages('shop.orders')` goes on with `after: pageInfo.endCursor` while `pageInfo.hasNextPage`. The document
 * must ask for both; the output should be the list of nodes (`.transform((d) => d.shop.orders.nodes)`).
 */
export function relayPages(at: string, param = 'after'): Pages {
  return {
    style: 'cursor',
    param,
    next: `${at}.pageInfo.endCursor`,
    more: `${at}.pageInfo.hasNextPage`,
    token: true,
  }
}

/** `params`: names that the path takes out of the input. */
export function graphqlProblems(
  path: string,
  spec: Readonly<Record<string, unknown>>,
  method: string | undefined,
  params: readonly string[],
): Problem[] {
  const { graphql } = spec
  if (graphql === undefined) return []
  const options = typeof graphql === 'string' ? { document: graphql } : graphql
  const problems = checkOptions(path, options, ['document', 'partial'])
  if (typeof options !== 'object' || options === null) return problems
  const add = (at: string, message: string, fix: string): void => void problems.push({ path: at, message, fix })
  const { document: source, partial } = options as Readonly<Record<string, unknown>>
  if (partial !== undefined && partial !== 'fail' && partial !== 'accept')
    add(`${path}.partial`, 'is unknown', "use 'fail' or 'accept'")
  if (method !== undefined && method !== 'POST' && method !== 'GET')
    add(path, `does not go with ${method}`, "use 'POST /graphql', or GET for a query")
  for (const name of ['body', 'answer', 'query', 'stream'])
    if (spec[name] !== undefined) add(path, `has no use for \`${name}\``, 'remove it')
  const document = readDocument(source)
  if ('problem' in document) {
    add(path, `the document ${document.problem}`, "use 'query Orders($after: String) { … }'")
    return problems
  }
  if (document.kind === 'mutation' && method === 'GET') add(path, 'a mutation does not go with GET', 'use POST')
  if (document.kind === 'query' && spec['idempotent'] === 'key')
    add(path, 'a query needs no key', 'remove `idempotent`')
  const fields = fieldsOf(spec['input'])
  if (!fields) return problems
  const names = document.variables.map((v) => v.name)
  for (const { name, required } of document.variables) {
    if (required && !fields.has(name))
      add(path, `needs $${name}, which the input does not have`, 'add it to the input schema')
  }
  for (const name of fields) {
    if (!names.includes(name) && !params.includes(name))
      add(path, `has no variable $${name}, which the input has`, 'declare it in the document, or remove it')
  }
  return problems
}
