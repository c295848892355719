import { codes, type Code } from '#kernel/codes.ts'
import type { Problem } from '#kernel/definition.ts'
import { faultRecord, toFault, type FaultRecord } from '#kernel/fault.ts'
import { redactor } from '#kernel/redact.ts'
import { resolve } from 'node:path'
import { inspect } from 'node:util'
import { escapeControls, escapeLines } from './escape.ts'
import { jsonLine } from './render.ts'
import type { Terminal } from './terminal.ts'

/** 0: done. 1: it could not be done. 2: the command line, the configuration or the store has to be corrected first. */
export type ExitCode = 0 | 1 | 2

export type ShownError = Omit<FaultRecord, 'detail'> & {
  /** What to do. */
  readonly fix: string
  /** The file that it is about, absolute. */
  readonly path?: string
  readonly problems?: readonly Problem[]
  readonly detail?: Readonly<Record<string, unknown>>
}

/** Stores that refuse to be written: nothing is wrong with the command, but a person has to act before it can work. */
const environment: readonly string[] = ['store.readonly', 'store.full']

export function exitCode(e: unknown): ExitCode {
  const f = toFault(e, 'bug')
  return f.kind === 'config' || environment.includes(f.code) ? 2 : 1
}

/** What can be said about anything thrown: masked, with the fix and without a stack. */
export function shownError(e: unknown): ShownError {
  const f = toFault(e, 'bug')
  const { detail, ...record } = redactor().value(faultRecord(f)) as FaultRecord
  const { problems, path, fix, ...rest } = detail ?? {}
  const listed = problemsOf(problems)
  return {
    ...record,
    // configFault repeats the problems in its message, for programs without this command line.
    message: listed.length > 0 ? record.message.split('\n')[0]! : record.message,
    fix: typeof fix === 'string' ? fix : fixOf(f.code),
    ...(typeof path === 'string' ? { path: resolve(path) } : {}),
    ...(listed.length > 0 ? { problems: listed } : {}),
    ...(Object.keys(rest).length > 0 ? { detail: rest } : {}),
  }
}

/**
 * Tells of a failure: on lines for people (`error: …`, code, path, fix), or as one JSON object on standard error.
 * FAIRLEAD_DEBUG=1 adds the stack, causes included, unmasked.
 */
export function report(
  e: unknown,
  terminal: Terminal,
  options: { readonly json: boolean; readonly debug: boolean },
): ExitCode {
  const shown = shownError(e)
  if (options.json) terminal.err(jsonLine({ error: shown }))
  else for (const line of errorLines(shown, terminal)) terminal.err(line)
  if (options.debug) terminal.err(inspect(e))
  return exitCode(e)
}

export function errorLines(shown: ShownError, terminal: Pick<Terminal, 'paintError'>): string[] {
  const { paintError: paint } = terminal
  const cause = shown.causes?.find((c) => !shown.message.includes(c.replace(/^\w+: /, '')))
  const about = (name: string, value: string): string => `  ${paint('dim', name.padEnd(7))} ${escapeControls(value)}`
  return [
    `${paint('red', 'error:')} ${escapeLines(shown.message)}`,
    ...(shown.problems ?? []).flatMap((p) => [
      `  ${paint('bold', escapeControls(p.path))}: ${escapeControls(p.message)}`,
      `    fix: ${escapeControls(p.fix)}`,
    ]),
    about('code', shown.code),
    ...(shown.path !== undefined && !shown.message.includes(shown.path) ? [about('path', shown.path)] : []),
    ...(cause === undefined ? [] : [about('because', cause)]),
    ...(shown.problems === undefined ? [about('fix', shown.fix)] : []),
    ...(Object.hasOwn(codes, shown.code) ? [about('more', `fairlead explain ${shown.code}`)] : []),
  ]
}

/** The catalogue's help without its first sentence, which says what happened. */
function fixOf(code: string): string {
  const help = Object.hasOwn(codes, code) ? codes[code as Code].help : 'This code is one of your own (reject).'
  const end = help.indexOf('. ')
  return end < 0 ? help : help.slice(end + 2)
}

function problemsOf(value: unknown): readonly Problem[] {
  if (!Array.isArray(value)) return []
  return value.filter(
    (p): p is Problem => typeof p === 'object' && p !== null && 'path' in p && 'message' in p && 'fix' in p,
  )
}
