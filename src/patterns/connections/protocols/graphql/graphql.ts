import { parseJsonText } from '#kernel/json.ts'
import { jsonText } from '../../json-text.ts'
import type { Sent } from '../../unrender.ts'
import type { Protocol } from '../protocol.ts'
import { readDocument } from './document.ts'
import { graphqlOptions, type GraphqlOptions } from './options.ts'
import { readGraphql } from './read.ts'

/** GraphQL over HTTP: a POST with the document and its variables, or a GET with both in the query. */
export function graphqlProtocol(graphql: string | GraphqlOptions, method: string): Protocol {
  const { document: query, partial } = graphqlOptions(graphql)
  const document = readDocument(query)
  // Without a readable document nothing would have started; what is not known to be a query is treated as a mutation.
  const mutation = 'problem' in document || document.kind === 'mutation'
  const operationName = 'problem' in document ? undefined : document.name
  const reader = { mutation, accept: partial === 'accept' }
  const named = operationName === undefined ? {} : { operationName }
  return {
    headers: { accept: 'application/graphql-response+json, application/json;q=0.9' },
    natural: !mutation,
    // Variables first: a call record shows the beginning of a body, and the document is known.
    encode: (variables) =>
      method === 'GET'
        ? { query: { ...named, variables: jsonText(variables), query } }
        : { body: jsonText({ ...named, variables, query }) },
    fields: (sent) => {
      const asked = askedOf(sent)
      return asked['query'] === query ? Object.entries(asked['variables'] ?? {}) : undefined
    },
    send: async (http, wire) => {
      const response = await http.send(wire)
      return { ...response, reading: readGraphql(response, reader) }
    },
  }
}

function askedOf({ path, body }: Sent): Readonly<Record<string, unknown>> {
  if (body === undefined) {
    const query = new URLSearchParams(path.split('?')[1])
    return { query: query.get('query'), variables: parseJsonText(query.get('variables') ?? '{}') }
  }
  const asked = parseJsonText(typeof body === 'string' ? body : new TextDecoder().decode(body))
  return asked as Readonly<Record<string, unknown>>
}
