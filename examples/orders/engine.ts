// The first process of the example: the engine on a SQLite file, with nothing else installed.
import { fairlead } from 'fairlead'
import { sqlite } from 'fairlead/sqlite'
import { serveParent } from './child.ts'
import { parkedOf, reportOf } from './engine-link.ts'
import * as orders from './orders.ts'

const app = await fairlead({ store: sqlite(process.env['STORE'] ?? '.fairlead/orders/fairlead.db'), use: [orders] })

serveParent({
  ready: async () => ({ url: (await app.listen({ port: Number(process.env['PORT'] ?? 0) })).url }),
  answers: {
    report: () => reportOf(app),
    parked: () => parkedOf(app),
  },
  stop: () => app[Symbol.asyncDispose](),
})
