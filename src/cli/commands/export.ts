import { Buffer } from 'node:buffer'
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fault } from '#kernel/fault.ts'
import { filterOf, stateOption, withFilter, type FilterOptions } from '../bulk.ts'
import type { Declare } from '../command.ts'
import { aboutProject } from '../command.ts'
import { counted, jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = FilterOptions & { readonly raw?: boolean; readonly to?: string }

export const exportMessages: Declare = (command, terminal) =>
  aboutProject(
    withFilter(
      command
        .description(
          'Write parked messages as NDJSON, a line each. Data is masked, and then cannot be imported; --raw writes it as it is.',
        )
        .argument('<subscription>', 'its name'),
    )
      .addOption(stateOption('dead'))
      .option('--raw', 'with personal data and secrets, as `fairlead import` needs it')
      .option('--to <file>', 'a new file, readable by you alone (default: standard output)'),
    'fairlead export billing --state all --raw --to billing.ndjson',
  ).action(async (name: string, options: Options) => {
    // Before the project is loaded: the path is one of the caller's folder.
    const file = options.to === undefined ? undefined : await created(resolve(options.to))
    let count = 0
    try {
      await withApp(options.config, async ({ operations }) => {
        const query = { ...filterOf(name, options), raw: options.raw ?? false }
        for await (const line of operations.exportParked(query)) {
          count++
          if (file) await file.handle.write(Buffer.from(`${line}\n`, 'utf8'))
          else terminal.out(jsonLine(JSON.parse(line)))
        }
        await file?.handle.sync()
      })
    } finally {
      await file?.handle.close()
    }
    if (file)
      terminal.out(
        options.json
          ? jsonLine({ exported: count, to: file.path })
          : `${counted(count, 'message')} written to ${file.path}.`,
      )
  })

async function created(path: string) {
  try {
    return { path, handle: await open(path, 'wx', 0o600) }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? 'cli.exists' : 'cli.write'
    throw fault(code, { message: `${path} cannot be created`, detail: { path }, cause })
  }
}
