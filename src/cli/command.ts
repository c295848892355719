import { InvalidArgumentError, Option, type Command } from 'commander'
import type { Terminal } from './terminal.ts'

/** Declares a command's arguments, options, example and action. The only export of a file in `commands/`. */
export type Declare = (command: Command, terminal: Terminal) => Command

export type ProjectOptions = { readonly config?: string; readonly json?: boolean }

export const configHelp = 'config module or its folder (default: ./fairlead.config.*)'

/** `--config` and `--json`, which every command about a project has, and its example. */
export function aboutProject(command: Command, example: string): Command {
  return withExample(command.option('-c, --config <file>', configHelp), example).addOption(json())
}

export function withExample(command: Command, example: string): Command {
  return command.addHelpText('after', `\nExample:\n  $ ${example}`)
}

export function json(): Option {
  return new Option('--json', 'print JSON, errors too')
}

/** A whole number within bounds, as an argument or option. */
export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const n = Number(text)
    if (!/^\d+$/.test(text) || n < least || n > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
    }
    return n
  }
}

export const limit = whole(1, 1_000)
export const number = whole(1, Number.MAX_SAFE_INTEGER)
