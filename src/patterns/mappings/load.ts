import type { Definition } from '#kernel/definition.ts'
import { fault } from '#kernel/fault.ts'
import type { Files } from '#kernel/runtime.ts'
import { isPath, stateOf } from './state.ts'

/**
 * Reads the document of a mapping that names a file; does nothing for the others. The app does it at start, before
 * `checkMapping`. Rejects with `mapping.document` when the file cannot be read. Called again it reads again: calls that
 * begin after it use the new document, and an unreadable file leaves the old one in force.
 */
export async function loadMapping(mapping: Definition, files: Pick<Files, 'read'>): Promise<void> {
  const state = stateOf(mapping)
  const { document } = state.given
  if (!isPath(document)) return
  let text: string
  try {
    text = await files.read(document)
  } catch (cause) {
    throw fault('mapping.document', {
      message: `${state.name}: the document ${String(document)} cannot be read`,
      detail: { mapping: state.name, document: String(document) },
      cause,
    })
  }
  state.text = text
  state.planned = undefined
  state.engine = undefined
}
