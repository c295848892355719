import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { mask } from '#kernel/redact.ts'
import { fault } from '#kernel/fault.ts'
import { parseJson, type Json } from '#kernel/json.ts'
import type { Declare, ProjectOptions } from '../command.ts'
import { aboutProject, limit, number } from '../command.ts'
import { counted, jsonLine } from '../render.ts'
import { withApp } from '../with-app.ts'

type Options = ProjectOptions & { readonly dead?: string; readonly data?: string; readonly limit?: number }

export const replay: Declare = (command, terminal) =>
  aboutProject(
    command
      .description('Handle parked messages again, now, with their tries counted anew. A running app does it at once.')
      .argument('[numbers...]', 'of `fairlead dead`', (text: string, before?: readonly number[]) => [
        ...(before ?? []),
        number(text),
      ])
      .option('--dead <subscription>', 'every dead message of this subscription')
      .option('-n, --limit <number>', 'with --dead: at most so many (1 to 1000, default 1000)', limit)
      .option('--data <file>', 'with one number: other data, JSON; - reads standard input'),
    'fairlead replay 17 --data corrected.json',
  ).action(async (ids: readonly number[], options: Options) => {
    assertSensible(ids, options)
    const { dead } = options
    if (dead !== undefined) {
      const count = await withApp(options.config, (app) => app.operations.replayDead(dead, options.limit))
      return terminal.out(
        options.json
          ? jsonLine({ replayed: count, subscription: dead })
          : `${counted(count, 'message')} of ${dead} replayed.`,
      )
    }
    // Before the project is loaded: the path is one of the caller's folder.
    const data = options.data === undefined ? undefined : readData(options.data)
    await withApp(options.config, async ({ operations }) => {
      for (const id of ids) {
        await (data === undefined ? operations.replay(id) : operations.editAndReplay(id, data.value))
        if (!options.json)
          terminal.out(`Parked message ${id} is replayed${data === undefined ? '' : ' with other data'}.`)
      }
    })
    if (options.json) terminal.out(jsonLine({ replayed: ids }))
  })

function assertSensible(ids: readonly number[], { dead, data, limit }: Options): void {
  const wrong = (message: string): never => {
    throw fault('cli.usage', { message, detail: { fix: 'see fairlead replay --help' } })
  }
  if (ids.length === 0 && dead === undefined) wrong('missing: numbers of parked messages, or --dead <subscription>')
  if (ids.length > 0 && dead !== undefined) wrong('numbers and --dead contradict each other')
  if (data !== undefined && ids.length !== 1) wrong('--data needs the number of exactly one parked message')
  if (limit !== undefined && dead === undefined) wrong('--limit goes with --dead')
}

/** What was shown is masked. Written back, the mask would become the data. */
function readData(path: string): { readonly value: Json } {
  const name = path === '-' ? 'standard input' : resolve(path)
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path === '-' ? 0 : name)
  } catch (cause) {
    throw fault('cli.usage', {
      message: `${name} cannot be read`,
      detail: { fix: 'name a readable JSON file, or -' },
      cause,
    })
  }
  const value = parseJson(bytes)
  if (JSON.stringify(value).includes(mask)) {
    const fix = `put the real value in the place of ${mask}: it stands for what is hidden when data is shown`
    throw fault('cli.usage', { message: `${name} contains ${mask}`, detail: { fix } })
  }
  return { value }
}
