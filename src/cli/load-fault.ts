import { fileURLToPath } from 'node:url'
import { fault, isFault, type Fault } from '#kernel/fault.ts'

/**
 * Why a user's module could not be loaded: `config.module` with the file, the line where one is known, and the reason on one
 * line. A fault that the module threw itself (a definition may) keeps its own code.
 */
export function loadFault(e: unknown, file: string): Fault {
  if (isFault(e)) return e
  const error = e instanceof Error ? e : new Error(String(e))
  const place = placeOf(error) ?? file
  const reason = error.message.split('\n')[0]!
  const fix = fixOf(error)
  return fault('config.module', {
    message: `${place}: ${reason}`,
    detail: { path: file, ...(fix === undefined ? {} : { fix }) },
    cause: e,
  })
}

/** `/shop/orders.ts:3` of a stack: a syntax error names it on the first line, a thrown error in its first frame of a file. */
function placeOf(error: Error): string | undefined {
  const stack = error.stack ?? ''
  const head = /^(?:file:\/\/)?(\/[^\n]*|[A-Za-z]:[^\n]*):(\d+)\n/.exec(stack)
  if (head) return `${decoded(head[1]!)}:${head[2]!}`
  if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined
  const frame = /\((file:\/\/[^\n)]*|\/[^\n)]*):(\d+):\d+\)|at (?:async )?(file:\/\/[^\n]*|\/[^\n]*):(\d+):\d+/.exec(
    stack,
  )
  const [, inside, line, bare, bareLine] = frame ?? []
  const path = inside ?? bare
  return path === undefined ? undefined : `${decoded(path)}:${(line ?? bareLine)!}`
}

function decoded(path: string): string {
  try {
    return path.startsWith('file://') ? fileURLToPath(path) : path
  } catch {
    return path
  }
}

function fixOf(error: NodeJS.ErrnoException): string | undefined {
  switch (error.code) {
    case 'ERR_MODULE_NOT_FOUND':
      return error.message.startsWith('Cannot find package')
        ? 'run `npm install` in the folder of your project'
        : 'correct the import: its path is relative to the file and ends with .ts or .js'
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return 'Node removes types and nothing else: write plain constants for enum, no namespace, no parameter properties'
    default:
      return undefined
  }
}
