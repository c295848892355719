import { XmlError, textOf, type Element } from './xml.ts'

/**
 * An element as plain data. With neither elements nor attributes inside it is its text (`xsi:nil`: null); else an object of its
 * children by local name, attributes as `@name`, and the text beside attributes as `#text`. A child that comes more than once is a list;
 * one that `lists` names (`Lines/Line`, from here) is always one, also when it is absent from a parent that is there.
 *
 * Everything is text: what is a number or a date is for the output schema to say (`z.coerce.number()`).
 */
export function plainOf(element: Element, lists: ReadonlySet<string>, at = ''): unknown {
  if (element.nil) return null
  const children = element.children.filter((c): c is Element => typeof c === 'object')
  const always = [...lists].filter((path) => parentOf(path) === at).map((path) => path.slice(path.lastIndexOf('/') + 1))
  if (children.length === 0 && element.attributes.size === 0 && always.length === 0) return textOf(element)
  const fields = new Map<string, unknown>(always.map((name) => [name, []]))
  for (const [name, value] of element.attributes) fields.set(`@${name}`, value)
  for (const c of children) {
    if (c.name === '__proto__') throw new XmlError('it has an element that could reach a prototype')
    const path = at === '' ? c.name : `${at}/${c.name}`
    const value = plainOf(c, lists, path)
    const known = fields.get(c.name)
    if (Array.isArray(known)) known.push(value)
    else fields.set(c.name, fields.has(c.name) ? [known, value] : value)
  }
  const text = textOf(element)
  if (children.length === 0 && text !== '') fields.set('#text', text)
  return Object.fromEntries(fields)
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}
