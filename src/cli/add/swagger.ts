import { isPlain, type Plain } from './read.ts'

/**
 * Swagger 2.0 in the words of OpenAPI 3.0: what differs is where bodies, types of parameters and servers stand. Schemas are
 * the same but for `type: file`. References keep their places (`#/definitions/Pet`), so nothing moves.
 */

const mixed = {
  csv: [',', false],
  ssv: [' ', false],
  tsv: [',', false],
  pipes: ['|', false],
  multi: [',', true],
} as const

/** A parameter that is not a body: its type stands on it, not in a schema. */
export function parameter(given: Plain): Plain {
  const { name, in: at, required, description, collectionFormat } = given
  const format = mixed[collectionFormat as keyof typeof mixed] ?? mixed.csv
  const style =
    format[0] === ' ' ? 'spaceDelimited' : format[0] === '|' ? 'pipeDelimited' : at === 'query' ? 'form' : 'simple'
  return { name, in: at, required, description, style, explode: format[1], schema: given }
}

/** The body that `in: body` and `in: formData` parameters are together. */
export function requestBody(parameters: readonly Plain[], consumes: readonly unknown[]): Plain | undefined {
  const whole = parameters.find((p) => p['in'] === 'body')
  const types = consumes.filter((c) => typeof c === 'string')
  if (whole) {
    const media = { schema: whole['schema'] ?? {} }
    const content = Object.fromEntries((types.length > 0 ? types : ['application/json']).map((type) => [type, media]))
    return { required: whole['required'], content }
  }
  const fields = parameters.filter((p) => p['in'] === 'formData' && typeof p['name'] === 'string')
  if (fields.length === 0) return undefined
  const files = fields.some((f) => f['type'] === 'file')
  const type = files ? 'multipart/form-data' : 'application/x-www-form-urlencoded'
  const schema = {
    type: 'object',
    properties: Object.fromEntries(fields.map((f) => [f['name'], { ...f, required: undefined }])),
    required: fields.filter((f) => f['required'] === true).map((f) => f['name']),
  }
  return { content: { [type]: { schema } } }
}

export function response(given: Plain, produces: readonly unknown[]): Plain {
  if (given['schema'] === undefined) return given
  const types = produces.filter((c) => typeof c === 'string')
  const examples = isPlain(given['examples']) ? given['examples'] : {}
  const content = Object.fromEntries(
    (types.length > 0 ? types : ['application/json']).map((type) => [
      type,
      { schema: given['schema'], ...(Object.hasOwn(examples, type) ? { example: examples[type] } : {}) },
    ]),
  )
  return { description: given['description'], headers: given['headers'], content }
}

export function servers(doc: Plain): Plain[] {
  const { host, basePath, schemes } = doc
  const path = typeof basePath === 'string' ? basePath : '/'
  if (typeof host !== 'string' || host === '') return path === '/' ? [] : [{ url: path }]
  const all = Array.isArray(schemes) && schemes.length > 0 ? schemes : ['https']
  return all.filter((s) => s === 'https' || s === 'http').map((s) => ({ url: `${String(s)}://${host}${path}` }))
}

/** `securityDefinitions` as the schemes of 3.0. */
export function securitySchemes(doc: Plain): Plain {
  const found = isPlain(doc['securityDefinitions']) ? doc['securityDefinitions'] : {}
  return Object.fromEntries(
    Object.entries(found).map(([name, scheme]) => {
      if (!isPlain(scheme)) return [name, {}]
      if (scheme['type'] === 'basic') return [name, { type: 'http', scheme: 'basic' }]
      if (scheme['type'] !== 'oauth2') return [name, scheme]
      return [name, { type: 'oauth2', flows: { [String(scheme['flow'])]: scheme } }]
    }),
  )
}
