import { mask } from '#kernel/redact.ts'
import type { Masking } from './masking.ts'

/** Begins of names are anchored, so that a long run of letters is not tried from each of its places. A tag, a comment, or what begins like one and is cut. */
const markup =
  /<!\[CDATA\[[\s\S]*?(?:\]\]>|$)|<!--[\s\S]*?(?:-->|$)|<(\/?)([^\s<>/]*)(?=[\s/>]|$)([^<>]*?)(\/?)(?:>|$)|<[^<>]*$/g
const attribute = /(?<=^|[\s"'])([^\s=]+)(\s*=\s*)("[^"]*"?|'[^']*'?)/g

/**
 * XML text with the content of elements and the values of attributes masked whose local name is sensitive, and every other text
 * masked by its value, character references resolved. Works on a window of a document: one that is cut, or not quite XML, is masked as well.
 */
export function maskXml(text: string, masking: Masking): string {
  let out = ''
  let from = 0
  /** Name of the sensitive element that we are in, and how many of that name are open. */
  let hidden: string | undefined
  let depth = 0
  for (const found of text.matchAll(markup)) {
    if (hidden === undefined) out += shown(text.slice(from, found.index), masking)
    from = found.index + found[0].length
    const [all, close, name, attributes = '', empty] = found
    if (name === undefined) {
      if (hidden === undefined) out += masking.text(all)
    } else if (hidden !== undefined) {
      if (name !== hidden || empty === '/') continue
      depth += close === '/' ? -1 : 1
      if (depth > 0) continue
      hidden = undefined
      out += all
    } else {
      out += `<${close}${name}${attributes.replace(attribute, (...a) => maskedAttribute(a, masking))}${empty}${all.endsWith('>') ? '>' : ''}`
      if (close === '/' || empty === '/' || !masking.hides(local(name))) continue
      hidden = name
      depth = 1
      out += mask
    }
  }
  return hidden === undefined ? out + shown(text.slice(from), masking) : out
}

function maskedAttribute([, name = '', between = '', value = '']: readonly string[], masking: Masking): string {
  const quote = value[0] ?? '"'
  const inside = value.slice(1).replace(/["']$/, '')
  return `${name}${between}${quote}${masking.hides(local(name)) ? mask : shown(inside, masking)}${quote}`
}

function shown(text: string, masking: Masking): string {
  if (!text.includes('&')) return masking.text(text)
  // A secret may be spelled with references: look for it resolved, show it resolved only if it was there.
  const plain = text.replaceAll(
    /&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(lt|gt|amp|quot|apos));/g,
    (all, hex, number, name) => {
      if (typeof name === 'string') return predefined[name]!
      const point = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number(number)
      return point <= 0x10ffff ? String.fromCodePoint(point) : all
    },
  )
  const masked = masking.text(plain)
  return masked === plain ? masking.text(text) : masked.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

const predefined: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

function local(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1)
}
