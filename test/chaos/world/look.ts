import { fairlead, sql, type App } from 'fairlead'
import type { Evidence, ParkedRow } from './audit.ts'
import { definitions, type Fact } from './definitions.ts'
import { storeAt, type Place } from './place.ts'

const silent = { write: () => {} }

/** Opens the store beside, or after, the engines: looks, and handles nothing. */
export function visitor(place: Pick<Place, 'kind' | 'address'>): Promise<App> {
  return fairlead({ store: storeAt(place), use: definitions, work: false, log: silent })
}

/** What an operator and a reader of their own tables can see. */
export async function look(place: Pick<Place, 'kind' | 'address'>): Promise<Pick<Evidence, 'rows' | 'parked'>> {
  await using app = await visitor(place)
  const rows = await app.transact((tx) => tx.query(sql`select sub, u, pid from chaos_effects order by id`))
  return {
    rows: rows.map((r) => ({ sub: String(r['sub']), u: String(r['u']), pid: Number(r['pid']) })),
    parked: await parked(app),
  }
}

async function parked(app: App): Promise<ParkedRow[]> {
  const all: ParkedRow[] = []
  for (let after: number | undefined; ;) {
    const page = await app.operations.parked({ limit: 1_000, ...(after === undefined ? {} : { after }) })
    all.push(
      ...page.map((p) => ({
        subscription: p.subscription,
        u: (p.data as Fact).u,
        state: p.state,
        ...(p.fault ? { why: `${p.fault.code} ${p.fault.message}` } : {}),
      })),
    )
    if (page.length < 1_000) return all
    after = page.at(-1)!.parked
  }
}
