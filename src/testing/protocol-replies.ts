import { fault } from '#kernel/fault.ts'
import { reply, type Reply } from './reply.ts'
import type { Operation } from '#patterns/connections/define.ts'
import { framed, methodOf } from '#patterns/connections/protocols/grpc/proto.ts'
import { spaces, templateOf, versionOf, type SoapOptions } from '#patterns/connections/protocols/soap/options.ts'
import { escapeXml } from '#patterns/connections/protocols/soap/xml.ts'

/** A plain value that is scripted as an answer, as the operation's protocol would carry it. */
export function wrapped({ spec }: Operation, value: unknown): Reply {
  if (spec.grpc !== undefined) {
    return reply(200, message(spec, value), { 'content-type': 'application/grpc+proto', 'grpc-status': '0' })
  }
  if (spec.soap !== undefined) return reply(200, envelope(spec.soap, value), { 'content-type': 'text/xml' })
  return reply(200, spec.graphql === undefined ? value : { data: value })
}

/** The value as a framed message of the operation's method. */
export function message({ grpc, http }: Operation['spec'], value: unknown): Uint8Array {
  const method = methodOf(grpc, http)
  if ('problem' in method) throw fault('config.option', { message: `the method ${method.problem}` })
  return framed(method.response, value as Readonly<Record<string, unknown>>)
}

/** The value under the operation's `result`; a list repeats its name, `@name` is an attribute. */
function envelope(soap: SoapOptions, value: unknown): string {
  const template = templateOf(soap)
  const space = spaces[(template && versionOf(template.sample)) ?? '1.1']
  const names = soap.result?.split('/') ?? []
  const body =
    names.length === 0
      ? inside(value)
      : names.slice(0, -1).reduceRight((all, name) => `<${name}>${all}</${name}>`, element(names.at(-1)!, value))
  return `<s:Envelope xmlns:s="${space}"><s:Body>${body}</s:Body></s:Envelope>`
}

function element(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((v) => element(name, v)).join('')
  if (value === undefined) return ''
  if (value === null) return `<${name} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>`
  const attributes = typeof value === 'object' ? Object.entries(value).filter(([n]) => n.startsWith('@')) : []
  return `<${name}${attributes.map(([n, v]) => ` ${n.slice(1)}="${escapeXml(String(v))}"`).join('')}>${inside(value)}</${name}>`
}

function inside(value: unknown): string {
  if (typeof value !== 'object' || value === null) return escapeXml(String(value)) ?? ''
  return Object.entries(value)
    .filter(([name]) => !name.startsWith('@'))
    .map(([name, v]) => (name === '#text' ? inside(v) : element(name, v)))
    .join('')
}
