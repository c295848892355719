import { readFileSync } from 'node:fs'
import type { Decisions } from './decisions.ts'

/** A world that once broke an invariant, as a shrunk list of decisions. */
export type Stored = { readonly name: string; readonly why: string; readonly decisions: Decisions }

/** Played first by every run: `stored.json` beside this file, one entry a failure. */
export const stored: readonly Stored[] = JSON.parse(
  readFileSync(new URL('stored.json', import.meta.url), 'utf8'),
) as Stored[]
