import type { ApisStats } from './apis/main.ts'
import type { Books } from './books.ts'
import { table } from './table.ts'

const manners = {
  'wrong-secret': 'signed with a wrong secret',
  'flipped-byte': 'one bit flipped after signing',
  unsigned: 'no signature',
  stale: 'signed an hour ago',
  truncated: 'truncated JSON, signed',
  'not-utf8': 'not UTF-8, signed',
  prototype: '__proto__ in the body, signed',
  oversized: 'larger than 1 MiB, signed',
  'unknown-path': 'to a path that nobody serves',
  first: '',
  again: '',
} as const

/** The final account: what was sent, what became of it, what happened outside, and whether it adds up. */
export function statement(books: Books, apis: ApisStats, peaks: ReadonlyMap<string, number>): string[] {
  const { sent, refused, work, effects, problems } = books
  const { payments, crm, warehouse } = apis.apis
  const troubles = Object.entries(apis.apis).map(([name, a]) => {
    const t = a.troubles
    return [name, a.requests, a.writes, a.repeated, t['429'], t['500'], t.cut, t.truncated, t.hang, a.hidden, a.refused]
  })
  return [
    '',
    'What was sent',
    ...table(
      ['', 'requests', 'accepted', 'duplicate', 'refused', 'unanswered', 'sent more than once'],
      sent.map((r) => [r.what, r.requests, r.accepted, r.duplicate, r.refused, r.unanswered, r.retried]),
    ),
    '',
    'What was refused, and why',
    ...table(
      ['', 'requests', 'answered'],
      refused.map((r) => [manners[r.manner], r.requests, r.answers.join(', ')]),
    ),
    '',
    'What became of what was accepted',
    ...table(
      ['subscription', 'messages', 'done', 'dead', 'behind a dead one', 'unfinished', 'parked at most', 'why dead'],
      work
        .filter((r) => r.messages > 0)
        .map((r) => {
          const fate = [r.done, r.dead, r.behind, r.unfinished, peaks.get(r.subscription) ?? 0]
          return [r.subscription, r.messages, ...fate, r.reasons.join(', ')]
        }),
    ),
    '',
    'What the others did to us',
    ...table(
      [
        '',
        'requests',
        'writes',
        'repeated',
        '429',
        '500',
        'cut',
        'truncated',
        'no answer',
        'done all the same',
        'refused',
      ],
      troubles,
    ),
    `Repeated and not done twice: payments ${payments.absorbed} by idempotency key, crm ${crm.absorbed} by PUT; ` +
      `the warehouse cannot (it was asked ${warehouse.requests - warehouse.writes} times what it had done)`,
    '',
    'What happened, in the ledgers of the others',
    ...table(
      ['effect', 'expected', 'exactly once', 'missing', 'repeated', 'unexpected'],
      effects.map((r) => [r.effect, r.expected, r.once, r.missing, r.repeated, r.unexpected]),
    ),
    '',
    ...(problems.length === 0
      ? ['The books balance.']
      : [`The books do NOT balance: ${problems.length} problems.`, ...problems.slice(0, 40).map((p) => `  - ${p}`)]),
  ]
}
