/** One target of a Link field (RFC 8288) with its relation types, lower case. */
export type Link = { readonly uri: string; readonly rel: readonly string[] }

/**
 * The links of a Link field. Commas and semicolons inside `<>` and quoted strings belong to them; of repeated `rel`
 * parameters the first counts; a link with an `anchor` speaks about something else and is left out. What cannot be read ends
 * the list: no guessing.
 */
export function parseLinks(field: string): readonly Link[] {
  const links: Link[] = []
  let at = 0
  const space = (): void => {
    while (field[at] === ' ' || field[at] === '\t' || field[at] === ',') at++
  }
  const gap = (): void => {
    while (field[at] === ' ' || field[at] === '\t') at++
  }
  for (space(); at < field.length; space()) {
    if (field[at] !== '<') break
    const end = field.indexOf('>', at)
    if (end < 0) break
    const uri = field.slice(at + 1, end).trim()
    at = end + 1
    let rel: string | undefined
    let anchored = false
    for (gap(); field[at] === ';'; gap()) {
      at++
      gap()
      const name = token()
      gap()
      let value = ''
      if (field[at] === '=') {
        at++
        gap()
        value = field[at] === '"' ? quoted() : token()
      }
      if (name.toLowerCase() === 'rel') rel ??= value
      if (name.toLowerCase() === 'anchor') anchored = true
    }
    if (at < field.length && field[at] !== ',') break
    if (!anchored) links.push({ uri, rel: (rel ?? '').toLowerCase().split(/\s+/).filter(Boolean) })
  }
  return links

  function token(): string {
    const from = at
    while (at < field.length && !' \t;,="'.includes(field[at]!)) at++
    return field.slice(from, at)
  }

  function quoted(): string {
    let out = ''
    for (at++; at < field.length && field[at] !== '"'; at++) {
      if (field[at] === '\\') at++
      out += field[at] ?? ''
    }
    at++
    return out
  }
}

/** The target of the first link with this relation. */
export function linkTo(field: string | undefined, rel: string): string | undefined {
  return field === undefined ? undefined : parseLinks(field).find((l) => l.rel.includes(rel))?.uri
}
