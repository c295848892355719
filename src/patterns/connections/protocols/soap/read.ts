import type { Code } from '#kernel/codes.ts'
import type { HttpResponse } from '#kernel/http.ts'
import type { Meant } from '../../answers/classify.ts'
import type { Reading } from '../protocol.ts'
import { versionOf, type SoapOptions } from './options.ts'
import { plainOf } from './plain.ts'
import { child, parseXml, textOf, XmlError, type Element } from './xml.ts'

/**
 * Reads an answer by SOAP 1.1 and 1.2. A fault is one under any status, 200 included; without one the status speaks. Never throws: what
 * is no envelope under 2xx is `connection.response`, reason `xml` (not well-formed), `encoding` or `shape`.
 *
 * Faults: `Client` / `Sender` is `connection.rejected`; `Server` / `Receiver` is `connection.failed`, since it may have happened; codes of
 * WS-Security about the token are `connection.credential`. Rules of the connection see the body as plain data.
 */
export function readSoap(response: HttpResponse, { result, lists = [] }: SoapOptions): Reading {
  const success = response.status >= 200 && response.status < 300
  const refused = (reason: string): Reading => ({
    body: undefined,
    ...(success ? { meant: { code: 'connection.response', detail: { reason } } } : {}),
  })
  const text = textOfBody(response)
  if (text === undefined) return refused('encoding')
  try {
    const root = parseXml(text)
    const body = child(root, 'Body')
    if (!versionOf(root) || !body) return refused('shape')
    const plain = plainOf(body, none)
    const found = child(body, 'Fault')
    if (found && found.space === root.space) return { body: plain, meant: meaning(found) }
    const element = result === undefined ? body : result.split('/').reduce(child, body as Element | undefined)
    return { body: plain, value: element && plainOf(element, new Set(lists)) }
  } catch (e) {
    if (e instanceof XmlError) return refused('xml')
    throw e
  }
}

const none: ReadonlySet<string> = new Set()

/** By the charset of the content type, then of the XML declaration, then UTF-8; strictly. */
function textOfBody({ body, headers }: HttpResponse): string | undefined {
  const head = String.fromCharCode(...body.subarray(0, 200))
  const label =
    /charset\s*=\s*"?([\w.:-]+)/i.exec(headers['content-type'] ?? '')?.[1] ??
    /^(?:\u00ef\u00bb\u00bf)?<\?xml[^>]*encoding\s*=\s*["']([\w.:-]+)["']/.exec(head)?.[1] ??
    'utf-8'
  if (!/^(?:utf-8|utf8|us-ascii|iso-8859-1|iso-8859-15|windows-1252|utf-16|utf-16le|utf-16be)$/i.test(label))
    return undefined
  try {
    return new TextDecoder(label, { fatal: true }).decode(body)
  } catch {
    return undefined
  }
}

const token = /^(?:FailedAuthentication|InvalidSecurityToken|SecurityTokenUnavailable|FailedCheck|InvalidSecurity)$/

function meaning(found: Element): Meant {
  const code = child(found, 'Code')
  const names = [textOf(child(found, 'faultcode')), textOf(child(code, 'Value'))]
  for (let sub = child(code, 'Subcode'), n = 0; sub && n < 5; sub = child(sub, 'Subcode'), n++)
    names.push(textOf(child(sub, 'Value')))
  const local = names.map((n) => n.trim().replace(/^.*:/, '').slice(0, 100)).filter((n) => n !== '')
  const means: Code = local.some((n) => token.test(n))
    ? 'connection.credential'
    : /^(?:Server|Receiver)(?:\.|$)/.test(local[0] ?? '')
      ? 'connection.failed'
      : 'connection.rejected'
  return { code: means, detail: { fault: local } }
}
