import { createReadStream } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fault } from '#kernel/fault.ts'
import { dryRunOption, reasonOption } from '../bulk.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject } from '../command.ts'
import { interruptible } from '../operator.ts'
import { counted, jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & { readonly dryRun?: boolean; readonly reason?: string }

export const importMessages: Declare = (command, terminal) =>
  aboutProject(
    command
      .description(
        'Park the messages of a raw export again, here or in another store. Lines that are wrong are refused, the others imported; the same file again changes nothing.',
      )
      .argument('<file>', 'of `fairlead export --raw`; - reads standard input')
      .addOption(reasonOption())
      .addOption(dryRunOption()),
    'fairlead import billing.ndjson --dry-run',
  ).action(async (file: string, options: Options) => {
    const path = file === '-' ? undefined : resolve(file)
    if (path !== undefined) await readable(path)
    const { dryRun = false, reason } = options
    const result = await interruptible((signal) =>
      withApp(options.config, async ({ operations }) => {
        const input = path === undefined ? process.stdin : createReadStream(path)
        const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
        try {
          return await operations.importParked(lines, { dryRun, signal, ...(reason === undefined ? {} : { reason }) })
        } finally {
          lines.close()
        }
      }),
    )
    if (options.json) terminal.out(jsonLine(result))
    else {
      const { imported, present, refused, faults } = result
      terminal.out(
        `${dryRun ? 'Dry run: ' : ''}${counted(imported, 'message')} imported, ${present} here already, ${refused} refused.`,
      )
      for (const f of faults) terminal.err(`line ${f.line}: ${f.code}: ${f.message}`)
      if (refused > faults.length) terminal.err(`and ${refused - faults.length} more`)
    }
    if (result.refused > 0) throw fault('import.line', { message: `${counted(result.refused, 'line')} refused` })
  })

async function readable(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK)
  } catch (cause) {
    throw fault('cli.usage', {
      message: `${path} cannot be read`,
      detail: { fix: 'name a readable file, or -' },
      cause,
    })
  }
}
