/**
 * The TypeScript of the documentation. A block is fenced with ```ts, and its fence may carry, after `ts`:
 *
 * - `file=orders.ts`: a name under which other blocks of the page import it (`./orders.ts`);
 * - `continues`: the block goes on where the page's last block stopped, in the same file;
 * - `prints`: it is also run, and must print what the next ```text block of the page says;
 * - `skip: <reason>`: it is not compiled, for this reason.
 */
export type Block = {
  readonly page: string
  /** Of the first line of code. */
  readonly line: number
  readonly code: string
  readonly file?: string
  readonly continues: boolean
  readonly prints?: string
  /** The reason; empty when none was given. */
  readonly skip?: string
}

const fence = /^([ \t]*)```(?:ts|typescript)\b[ \t]*([^\n]*)\n([\s\S]*?)^\1```[ \t]*$/gm

export function blocks(page: string, markdown: string): Block[] {
  return [...markdown.matchAll(fence)].map((match) => {
    const [all, indent, info, body] = match as unknown as [string, string, string, string]
    const skip = /\bskip\b:?\s*(.*)$/.exec(info)?.[1]?.trim()
    const file = /\bfile=(\S+)/.exec(info)?.[1]
    const flags = skip === undefined ? info.split(/\s+/) : []
    const line = markdown.slice(0, match.index).split('\n').length + 1
    const prints = flags.includes('prints')
      ? printed(`${page}:${line}`, markdown.slice(match.index + all.length))
      : undefined
    return {
      page,
      line,
      code: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      continues: flags.includes('continues'),
      ...(file === undefined ? {} : { file }),
      ...(prints === undefined ? {} : { prints }),
      ...(skip === undefined ? {} : { skip }),
    }
  })
}

function printed(where: string, rest: string): string {
  const text = /^```(\w*)[^\n]*\n([\s\S]*?)^```[ \t]*$/m.exec(rest)
  if (text?.[1] !== 'text') throw new Error(`${where} prints, but no \`\`\`text block follows it`)
  return text[2]!
}

export type Programs = {
  readonly files: ReadonlyMap<string, string>
  /** File → what running it must print. */
  readonly prints: ReadonlyMap<string, string>
}

/**
 * The blocks as files, `pages/README.md/…`. A block stands at the line that it has on its page, so that a diagnostic can be
 * read as one of the page; a continued one follows in the same file with the gap between them kept.
 */
export function programs(all: readonly Block[]): Programs {
  const files = new Map<string, string>()
  const prints = new Map<string, string>()
  let last: { readonly page: string; readonly name: string } | undefined
  for (const block of all) {
    if (block.skip !== undefined) continue
    const own = `pages/${block.page}/${block.file ?? `line-${block.line}.ts`}`
    const name = block.continues && last?.page === block.page ? last.name : own
    const before = files.get(name) ?? ''
    const gap = block.line - before.split('\n').length
    files.set(name, before + '\n'.repeat(Math.max(0, gap)) + block.code)
    if (block.prints !== undefined) prints.set(name, block.prints)
    last = { page: block.page, name }
  }
  // A block without import or export would share its names with all others.
  for (const [name, code] of files) files.set(name, `${code}\nexport {}\n`)
  return { files, prints }
}
