import { appendFileSync, readFileSync } from 'node:fs'
import type { Effect, Ledger } from './api.ts'

/**
 * The stand-ins' own record of what they did: a line an effect, appended at once and never rewritten. No fsync: nobody
 * kills this process, and its memory would be lost with it.
 */
export function fileLedger(path: string): Ledger {
  appendFileSync(path, '')
  return { write: (effect) => appendFileSync(path, `${JSON.stringify(effect)}\n`) }
}

/** All effects in the order in which they took place. */
export function readLedger(path: string): Effect[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Effect)
}
