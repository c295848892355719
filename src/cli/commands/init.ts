import { randomBytes } from 'node:crypto'
import { basename, relative, resolve } from 'node:path'
import type { Declare } from '../command.ts'
import { json, withExample } from '../command.ts'
import { projectFiles } from '../init/files.ts'
import { writeNew } from '../init/write.ts'
import { version } from '../version.ts'
import { jsonLine } from '../render.ts'

export const init: Declare = (command, terminal) =>
  withExample(
    command
      .description(
        'Write a small working project: a webhook, a topic, a subscription, a connection. Overwrites nothing.',
      )
      .argument('[folder]', 'made when it does not exist', '.'),
    'fairlead init shop',
  )
    .addOption(json())
    .action((given: string, options: { readonly json?: boolean }) => {
      const folder = resolve(given)
      const secret = `whsec_${randomBytes(32).toString('base64')}`
      const files = projectFiles({ name: packageName(basename(folder)), version: version(), secret })
      writeNew(folder, files)
      if (options.json) return terminal.out(jsonLine({ folder, files: Object.keys(files) }))
      const here = relative(process.cwd(), folder)
      const steps = [
        ...(here === '' ? [] : [`cd ${/^[\w./-]+$/.test(here) ? here : `'${here}'`}`]),
        'npm install',
        'npm run dev',
      ]
      terminal.out(`Wrote ${Object.keys(files).length} files to ${here === '' ? 'this folder' : here}. Next:\n`)
      for (const step of steps) terminal.out(`  ${terminal.paint('bold', step)}`)
      terminal.out('\nand in two more terminals there: npm run api, npm run send. README.md says what you see.')
    })

/** A name that npm accepts: lower case letters, digits and hyphens. */
export function packageName(folder: string): string {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return name === '' || name === 'node-modules' || name === 'fairlead' ? 'integration' : name.slice(0, 100)
}
