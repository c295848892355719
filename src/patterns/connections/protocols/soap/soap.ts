import type { Protocol } from '../protocol.ts'
import { plainOf } from './plain.ts'
import { templateOf, versionOf, type SoapOptions } from './options.ts'
import { readSoap } from './read.ts'
import { fillTemplate } from './template.ts'
import { child, parseXml, XmlError, type Element } from './xml.ts'

/** SOAP over HTTP: the filled envelope as a POST, with the content type and action of its version. */
export function soapProtocol(soap: SoapOptions): Protocol {
  const template = templateOf(soap)
  // Without a usable template nothing would have started.
  if (!template) return {}
  const { action } = soap
  const headers: Readonly<Record<string, string>> =
    versionOf(template.sample) === '1.2'
      ? {
          accept: 'application/soap+xml',
          'content-type': `application/soap+xml; charset=utf-8${action === undefined ? '' : `; action="${action}"`}`,
        }
      : { accept: 'text/xml', 'content-type': 'text/xml; charset=utf-8', soapaction: `"${action ?? ''}"` }
  const asked = firstOf(template.sample)
  return {
    headers,
    encode: (fields) => ({ body: fillTemplate(template, fields) }),
    fields: ({ body }) => {
      const sent = firstOf(parsed(body))
      if (!asked || sent?.name !== asked.name || sent.space !== asked.space) return undefined
      const plain = plainOf(sent, none)
      return typeof plain === 'object' && plain !== null ? Object.entries(plain) : []
    },
    send: async (http, wire) => {
      const response = await http.send(wire)
      return { ...response, reading: readSoap(response, soap) }
    },
  }
}

const none: ReadonlySet<string> = new Set()

/** What is asked for: the first element of the body. */
function firstOf(root: Element | undefined): Element | undefined {
  return child(root, 'Body')?.children.find((c): c is Element => typeof c === 'object')
}

function parsed(body: string | Uint8Array | undefined): Element | undefined {
  try {
    return parseXml(typeof body === 'string' ? body : new TextDecoder().decode(body))
  } catch (e) {
    if (e instanceof XmlError) return undefined
    throw e
  }
}
