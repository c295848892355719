import type { Code } from '#kernel/codes.ts'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import { Lost, sqlState } from './session.ts'

/** SQLSTATE (PostgreSQL's Appendix A) → what the store says. */
const codes: Readonly<Record<string, Code>> = {
  '25006': 'store.readonly',
  '40001': 'store.busy',
  '40P01': 'store.busy',
  '42501': 'store.rights',
  '53100': 'store.full',
  '53200': 'store.busy',
  '53300': 'store.busy',
  '55P03': 'store.busy',
  '57014': 'store.busy',
  FL002: 'config.option',
  XX001: 'store.corrupt',
  XX002: 'store.corrupt',
}

/** What PostgreSQL or the connection said, as a fault. Of the server's words only the message is kept: no value, no statement. */
export function storeFault(e: unknown, otherwise: Code = 'bug'): Fault {
  if (isFault(e)) return e
  if (e instanceof Lost) return fault('store.unanswered', { cause: e })
  const state = sqlState(e)
  const code = (state !== undefined && codes[state]) || otherwise
  const message = e instanceof Error ? e.message : String(e)
  return fault(code, {
    cause: e,
    ...(code === 'config.option' ? { message } : {}),
    detail: state ? { sqlstate: state } : {},
  })
}

/** Nothing of it was applied, and it may go better at once: another transaction was in the way, or the server just begins or ends. */
export function mayTryAgain(e: unknown): boolean {
  const state = sqlState(e)
  return state === '40001' || state === '40P01' || state === '25006'
}
