import type { App } from 'fairlead'
import type { EngineReport, ParkedReport } from './engine-report.ts'

/** The one place of the example that knows the shape of `app.operations`. */
export async function reportOf(app: App): Promise<EngineReport> {
  const status = await app.operations.status()
  return {
    topics: status.topics.map(({ name, accepted }) => ({ name, messages: accepted })),
    subscriptions: status.subscriptions.map(({ name, topic, lag, parked }) => ({ name, topic, lag, parked })),
    connections: status.connections.map(({ name, breaker, running }) => ({ name, breaker, running })),
  }
}

/** Everything that is parked, with its reason. */
export async function parkedOf(app: App): Promise<ParkedReport[]> {
  const parked = await app.operations.parked({ limit: 1_000 })
  return parked.map(({ subscription, key, state, attempts, fault }) => ({
    subscription,
    key: key ?? '',
    state,
    attempts,
    code: fault?.code ?? '',
    message: fault?.message ?? '',
  }))
}
