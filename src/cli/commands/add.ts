import { relative } from 'node:path'
import { lazyClient } from '#app/http/lazy-client.ts'
import { systemClock } from '#app/runtime.ts'
import { fault } from '#kernel/fault.ts'
import { add as addConnection, listOperations, type Added, type Asked } from '../add/add.ts'
import type { Change } from '../add/compare.ts'
import type { Declare } from '../command.ts'
import { json, withExample } from '../command.ts'
import { escapeControls } from '../escape.ts'
import { counted, jsonLine } from '../render.ts'
import { table } from '../table.ts'
import type { Terminal } from '../terminal.ts'

type Options = Omit<Asked, 'name' | 'tags' | 'only'> & {
  readonly name?: string
  readonly only?: readonly string[]
  readonly tag?: readonly string[]
  readonly list?: boolean
  readonly json?: boolean
}

const several = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  ...text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
]

export const add: Declare = (command, terminal) =>
  withExample(
    command
      .description(
        'Write a connection from an OpenAPI document (2.0, 3.0 to 3.2; JSON or YAML): operations, schemas, credential, paging. Run it again for a new version: it shows what changed, and overwrites nothing that was edited.',
      )
      .argument('<document>', 'a file, or an https address')
      .option('-n, --name <name>', 'of the connection and the file')
      .option('-o, --out <file>', 'where to write (default: ./<name>.ts)')
      .option('--only <patterns>', "operations: 'charges.*,GET /v1/customers', * is any text", several)
      .option('--tag <tag>', 'operations with this tag; may be repeated', (tag, before?: string[]) => [
        ...(before ?? []),
        tag,
      ])
      .option('--all', 'every operation, however many')
      .option('--list', 'show the operations, write nothing')
      .option('--server <url>', "base address instead of the document's")
      .option('--key-header <name>', 'they take an idempotency key with every POST and PATCH in this header')
      .option('--allow-refs', 'read the documents that it refers to, beside it or on its host')
      .option('--dry-run', 'show what would change, write nothing')
      .option('--force', 'replace the file though it was edited'),
    "fairlead add ./stripe.yaml --name stripe --only 'charges.*'",
  )
    .addOption(json())
    .action(async (source: string, options: Options) => {
      const { name, only, tag, list, json: asJson, ...rest } = options
      const http = lazyClient({ clock: systemClock })
      try {
        if (list)
          return showList(await listOperations(source, http, rest.allowRefs === true), asJson === true, terminal)
        if (name === undefined) {
          const fix = 'add --name, for example --name stripe; --list shows the operations'
          throw fault('cli.usage', { message: 'the connection has no name', detail: { fix } })
        }
        const asked = { ...rest, name, ...(only ? { only } : {}), ...(tag ? { tags: tag } : {}) }
        const added = await addConnection(source, asked, http)
        if (!asJson) showAdded(added, options, terminal)
        if (added.edited && options.force !== true && options.dryRun !== true) {
          const message = `${added.file} was changed by hand since it was written; nothing was written`
          throw fault('add.edited', { message, detail: { path: added.file } })
        }
        if (asJson) terminal.out(jsonLine(added))
      } finally {
        await http.close()
      }
    })

function showList(all: Awaited<ReturnType<typeof listOperations>>, asJson: boolean, terminal: Terminal): void {
  if (asJson) return terminal.out(jsonLine(all))
  const rows = all.map((o) => [o.group, o.name, o.line, o.summary])
  for (const line of table(columns, rows, terminal)) terminal.out(line)
}

const columns = [
  { title: 'group', least: 8 },
  { title: 'name', least: 12 },
  { title: 'operation', least: 16 },
  { title: 'summary', least: 12 },
] as const

function showAdded(added: Added, options: Options, terminal: Terminal): void {
  const say = (line: string): void => terminal.out(escapeControls(line))
  const file = relative(process.cwd(), added.file) || added.file
  const from = [added.title, added.version].filter((t) => t !== '').join(' ')
  const count = `${counted(added.operations.length, 'operation')}${added.total > added.operations.length ? ` of ${added.total}` : ''}`
  const { changes } = added
  if (changes) for (const line of changeLines(changes)) say(line)
  if (added.written) say(`Wrote ${file}: ${count}, from ${from || 'a document without a title'}.`)
  else if (options.dryRun) say(`Dry run: ${file} would have ${count}, from ${from}.`)
  else if (!added.edited) say(`${file} is up to date: ${count}, ${from}.`)
  for (const one of added.leftOut.slice(0, 10)) say(`  left out: ${one.line}: ${one.why}`)
  if (added.leftOut.length > 10) say(`  left out: ${added.leftOut.length - 10} more, named in the file`)
  if (!added.written || changes) return
  if (added.webhooks.length > 0)
    say(`  It also describes ${counted(added.webhooks.length, 'webhook')}: those are received by a webhook(…).`)
  const steps = [
    ...added.secrets.map((s) => `put ${s} into .env`),
    `add the module to \`use\` in fairlead.config.ts`,
    'npx fairlead check',
  ]
  say(`Next: ${steps.join('; ')}.`)
}

/** What changed since the last run, breaking changes first. */
function changeLines(changes: readonly Change[]): string[] {
  if (changes.length === 0) return ['Nothing changed in the operations since the last run.']
  const breaking = changes.filter((c) => c.breaking).length
  const ordered = changes.toSorted((a, b) => Number(b.breaking) - Number(a.breaking))
  const lines = ordered
    .slice(0, 50)
    .flatMap((c) => [`  ${c.breaking ? 'BREAKING ' : ''}${c.change}: ${c.line}`, ...c.what.map((w) => `    ${w}`)])
  const rest = changes.length > 50 ? [`  and ${changes.length - 50} more`] : []
  return [`${counted(changes.length, 'operation')} changed, ${breaking} of them breaking:`, ...lines, ...rest]
}
