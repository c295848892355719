import { checkOptions, type Problem } from '#kernel/definition.ts'
import { fieldsOf } from '../../check/parts.ts'
import { readTemplate, slottedNames, type EnvelopeTemplate } from './template.ts'
import { child, type Element } from './xml.ts'

/** A SOAP operation as a template of its envelope. 1.1 or 1.2, as the namespace of the envelope says. */
export type SoapOptions = {
  /** The whole envelope, with slots for the input: see `EnvelopeTemplate`. Values are always escaped. */
  readonly envelope: string
  /** `SOAPAction` of 1.1, `action` of 1.2. Default none. */
  readonly action?: string
  /** What of the answer's body goes to `output`: names from there, `'GetOrderResponse/Order'`. Default: the whole body. */
  readonly result?: string
  /** What is a list, however many there are: names from the result, `['Lines/Line']`. */
  readonly lists?: readonly string[]
}

export const spaces = {
  '1.1': 'http://schemas.xmlsoap.org/soap/envelope/',
  '1.2': 'http://www.w3.org/2003/05/soap-envelope',
} as const
export type SoapVersion = keyof typeof spaces

export function versionOf(root: Element): SoapVersion | undefined {
  if (root.name !== 'Envelope') return undefined
  return root.space === spaces['1.1'] ? '1.1' : root.space === spaces['1.2'] ? '1.2' : undefined
}

/** The template of an operation that has a usable one. */
export function templateOf({ envelope }: SoapOptions): EnvelopeTemplate | undefined {
  const template = readTemplate(envelope)
  return 'problem' in template ? undefined : template
}

/** `params`: names that the path takes out of the input. */
export function soapProblems(
  path: string,
  spec: Readonly<Record<string, unknown>>,
  method: string | undefined,
  params: readonly string[],
): Problem[] {
  const { soap } = spec
  if (soap === undefined) return []
  const problems = checkOptions(path, soap, ['envelope', 'action', 'result', 'lists'])
  if (typeof soap !== 'object' || soap === null) return problems
  const add = (name: string, message: string, fix: string): void => {
    problems.push({ path: name === '' ? path : `${path}.${name}`, message, fix })
  }
  const { envelope, action, result, lists } = soap as Readonly<Record<string, unknown>>
  if (method !== undefined && method !== 'POST') add('', `does not go with ${method}`, 'use POST')
  for (const name of ['body', 'answer', 'query', 'stream', 'graphql', 'pages'])
    if (spec[name] !== undefined) add('', `has no use for \`${name}\``, 'remove it')
  if (action !== undefined && !(typeof action === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]*$/.test(action)))
    add('action', 'is not an action', "use an address: 'urn:shop/GetOrder'")
  if (result !== undefined && !isPath(result)) add('result', 'is not a path', "use 'GetOrderResponse/Order'")
  if (lists !== undefined && !(Array.isArray(lists) && lists.every(isPath)))
    add('lists', 'is not a list of paths', "use ['Lines/Line']")
  const template = readTemplate(envelope)
  if ('problem' in template) {
    add(
      'envelope',
      template.problem,
      'use \'<soap:Envelope xmlns:soap="…"><soap:Body>…{id}…</soap:Body></soap:Envelope>\'',
    )
    return problems
  }
  if (slottedNames(template.sample)) add('envelope', 'has a slot in a name', 'write names out')
  if (!versionOf(template.sample) || !child(template.sample, 'Body'))
    add(
      'envelope',
      'is no envelope of SOAP 1.1 or 1.2 with a Body',
      `use the namespace ${spaces['1.1']} or ${spaces['1.2']}`,
    )
  const fields = fieldsOf(spec['input'])
  for (const name of fields ? template.names : [])
    if (!fields!.has(name))
      add('envelope', `uses {${name}}, which the input does not have`, 'add it to the input schema')
  for (const name of fields ?? [])
    if (!template.names.has(name) && !params.includes(name))
      add('envelope', `has no slot {${name}}, which the input has`, 'add it, or remove it from the input schema')
  return problems
}

function isPath(path: unknown): boolean {
  return typeof path === 'string' && /^[\p{L}_][^/]*(?:\/[\p{L}_][^/]*)*$/u.test(path)
}
