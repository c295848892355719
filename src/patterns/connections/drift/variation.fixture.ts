import { seededRandom } from '#testing/random.ts'

/**
 * Answers of invented services over months, with the variation that real ones show and that is no drift: optional and nullable
 * fields of all rates, rare kinds that come in bursts and campaigns, days and nights, weekends, ends of months, words of a Zipf
 * distribution, maps whose names are data, lists of all lengths, numbers with and without a fraction, free text. Knows nothing of
 * the detector.
 */
export type World = {
  /** The next answer, and the wall clock at which it comes. */
  next(): { readonly at: number; readonly answer: Record<string, unknown> }
}

export type Edit = (answer: Record<string, unknown>, dice: Dice) => void
export type Dice = {
  chance(p: number): boolean
  below(n: number): number
  of<T>(list: readonly T[]): T
  /** The first is the likeliest: weights 1, 1/2^s, 1/3^s … */
  zipf<T>(list: readonly T[], s: number): T
}

const day = 86_400_000
/** A Thursday. */
const start = Date.UTC(2026, 0, 1)

export function dice(seed: number): Dice {
  const random = seededRandom(seed)
  const float = (): number => random.float()
  return {
    chance: (p) => float() < p,
    below: (n) => Math.floor(float() * n),
    of: (list) => list[Math.floor(float() * list.length)]!,
    zipf(list, s) {
      const weights = list.map((_, i) => 1 / (i + 1) ** s)
      let left = float() * weights.reduce((a, b) => a + b, 0)
      for (const [i, w] of weights.entries()) if ((left -= w) < 0) return list[i]!
      return list.at(-1)!
    },
  }
}

/** `perDay` answers on a weekday. From `drift.from` (days) on, `drift.edit` has changed their side. */
export function world(options: {
  readonly seed: number
  readonly service: Service
  readonly perDay: number
  readonly drift?: { readonly from: number; readonly edit: Edit }
}): World {
  const { seed, service, perDay, drift } = options
  const d = dice(seed)
  const make = service(dice(seed * 31 + 7))
  let at = start
  let kind = 0
  let campaign = { kind: 0, until: 0 }
  return {
    next() {
      const hour = (at % day) / 3_600_000
      const weekday = new Date(at).getUTCDay()
      const busy = (hour >= 7 && hour < 19 ? 1.6 : 0.4) * (weekday === 0 || weekday === 6 ? 0.25 : 1)
      at += Math.ceil((-Math.log(1 - d.below(1_000_000) / 1_000_000) * day) / perDay / busy)
      // Kinds come in rows of eight on average; now and then hours of one of them; bills at the end of a month.
      if (at > campaign.until && d.chance(1 / (perDay * 3)))
        campaign = { kind: d.below(4), until: at + 3_600_000 * (1 + d.below(6)) }
      const monthEnd = new Date(at + 3 * day).getUTCDate() <= 3
      if (at < campaign.until) kind = campaign.kind
      else if (d.chance(1 / 8)) kind = d.chance(monthEnd ? 0.2 : 0.02) ? 3 : d.zipf([0, 1, 2], 1.5)
      const answer = make({ at, kind, quiet: busy < 0.3 })
      if (drift && at >= start + drift.from * day) drift.edit(answer, d)
      return { at, answer }
    },
  }
}

type Moment = { readonly at: number; readonly kind: number; readonly quiet: boolean }
export type Service = (d: Dice) => (moment: Moment) => Record<string, unknown>

const names = [
  'Anna',
  'Björn',
  'Chloé',
  'Dmitri',
  '李雷',
  'Émile van Ort',
  'fatima',
  'MARIO',
  '12345',
  'o',
  'x@example.com',
]
const hex = (d: Dice, n: number): string => Array.from({ length: n }, () => '0123456789abcdef'[d.below(16)]).join('')
const uuid = (d: Dice): string => `${hex(d, 8)}-${hex(d, 4)}-4${hex(d, 3)}-a${hex(d, 3)}-${hex(d, 12)}`
const iso = (at: number): string => new Date(at).toISOString()

/** One payment, of four kinds that have fields of their own; the fourth is rare. */
export const payment: Service = (d) => {
  const countries = ['CH', 'DE', 'FR', 'IT', 'AT', 'NL', 'PL', 'SE', 'ES', 'LI']
  return ({ at, kind }) => ({
    id: `pay_${hex(d, 12)}`,
    amount: d.chance(0.7) ? d.below(50_000) : d.below(5_000_000) / 100,
    fee: d.chance(0.03) ? null : d.below(300) / 100,
    currency: d.zipf(['CHF', 'EUR', 'USD', 'GBP', 'SEK'], 2),
    status: d.zipf(['succeeded', 'pending', 'failed', 'refunded', 'disputed', 'review'], 2.5),
    created: iso(at),
    settled: d.chance(0.4) ? null : iso(at + day).slice(0, 10),
    reference: d.chance(0.5) ? String(d.below(1e9)) : `ORD-${d.below(1e6)}`,
    customer: {
      id: uuid(d),
      name: d.of(names),
      email: d.chance(0.97) ? `c${d.below(9_999)}@example.com` : null,
      ...(d.chance(0.3) ? { phone: `+4179${d.below(1e7)}` } : {}),
      ...(d.chance(0.01) ? { vat: `CHE${d.below(1e9)}` } : {}),
      address: d.chance(0.9)
        ? { country: d.zipf(countries, 1.4), city: d.of(names), ...(d.chance(0.006) ? { state: 'ZH' } : {}) }
        : null,
    },
    method: [
      { type: 'card', brand: d.zipf(['visa', 'mastercard', 'amex'], 1.2), last4: String(1_000 + d.below(9_000)) },
      { type: 'transfer', iban: `CH93${d.below(1e12)}`, bank: d.chance(0.2) ? null : d.of(names) },
      { type: 'wallet', wallet: { provider: d.of(['apple', 'google']), device: uuid(d) } },
      {
        type: 'invoice',
        due: iso(at + 30 * day).slice(0, 10),
        terms: 30,
        ...(d.chance(0.1) ? { dunning: { level: 1 + d.below(3) } } : {}),
      },
    ][kind],
    metadata: Object.fromEntries(
      Array.from({ length: d.below(4) }, () => [
        d.chance(0.5) ? `key_${d.below(200)}` : d.of(['order', 'shop', 'cart']),
        String(d.below(99)),
      ]),
    ),
    ...(d.chance(0.003) ? { note: d.of(names) } : {}),
  })
}

/** A page of tickets: lists in lists, empty pages in quiet hours, logins that join over the months. */
export const tickets: Service = (d) => {
  const staff = Array.from({ length: 60 }, (_, i) => `user${i}`)
  return ({ at, kind, quiet }) => ({
    total: d.below(5_000),
    next: d.chance(0.3) ? null : hex(d, 20),
    items: Array.from({ length: d.chance(quiet ? 0.4 : 0.05) ? 0 : 1 + d.below(d.chance(0.1) ? 50 : 8) }, () => ({
      id: d.below(1e6),
      title: d.of(names),
      state: d.zipf(['open', 'closed', 'merged', 'draft', 'locked'], 2),
      opened: iso(at - d.below(90) * day),
      closed: d.chance(0.5) ? iso(at) : null,
      // One more joins every three weeks.
      assignee: d.chance(0.6) ? { login: d.of(staff.slice(0, 25 + Math.floor((at - start) / day / 21))) } : null,
      labels: Array.from({ length: d.below(4) }, () => ({
        name: d.zipf(['bug', 'idea', 'docs', 'ci', 'wontfix'], 1),
        color: hex(d, 6),
      })),
      ...(kind === 2 ? { merge: { sha: hex(d, 40), by: d.of(staff.slice(0, 25)), at: iso(at) } } : {}),
      ...(kind === 3 ? { escalated: true, sla: d.below(100) / 10 } : {}),
      url: `https://tickets.test/${d.below(1e6)}`,
    })),
  })
}

/** Readings of devices under their own names, with gaps by night. */
export const devices: Service = (d) => {
  const ids = Array.from({ length: 300 }, (_, i) => `dev-${i}-${hex(d, 4)}`)
  return ({ at, quiet }) => ({
    at: Math.floor(at / 1_000),
    readings: Object.fromEntries(
      Array.from({ length: 1 + d.below(6) }, () => [
        d.of(ids),
        {
          t: d.below(400) / 10,
          h: d.chance(0.05) ? null : d.below(100),
          ...(quiet ? {} : { lux: d.below(900) }),
          ok: d.chance(0.99),
        },
      ]),
    ),
    battery: d.chance(0.1) ? 'n/a' : d.below(100),
  })
}
