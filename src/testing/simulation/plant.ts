import { registerHooks } from 'node:module'
import { Buffer } from 'node:buffer'
import { fileURLToPath } from 'node:url'
import type { PlantedBug } from './bugs.ts'

const source = new URL('../../', import.meta.url)

/** The source with the bug in it. Throws when a place is not there, or there more than once: a bug must not go missing silently. */
export function mutated(text: string, edits: PlantedBug['edits'], file: string): string {
  for (const edit of edits.filter((e) => e.file === file)) {
    const found = text.split(edit.from).length - 1
    if (found !== 1)
      throw new Error(`planted bug: ${found} places in src/${file} read ${JSON.stringify(edit.from)}, not 1`)
    text = text.replace(edit.from, () => edit.to)
  }
  return text
}

/**
 * Plants the bug into this process: its files are changed in memory when they are loaded, so this comes before the engine
 * is imported. Returns what throws unless every file was loaded and changed.
 */
export function plant(bug: PlantedBug): () => void {
  const wanted = new Set(bug.edits.map((e) => e.file))
  const done = new Set<string>()
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context)
      if (!url.startsWith(source.href)) return loaded
      const file = fileURLToPath(url).slice(fileURLToPath(source).length).replaceAll('\\', '/')
      if (!wanted.has(file)) return loaded
      done.add(file)
      const text =
        typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString()
      return { ...loaded, source: mutated(text, bug.edits, file) }
    },
  })
  return () => {
    for (const file of wanted)
      if (!done.has(file)) throw new Error(`planted bug ${bug.name}: src/${file} was not loaded`)
  }
}
