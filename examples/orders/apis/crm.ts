import { refuse, type Api, type Effect, type Ledger } from './api.ts'

/** A note may not be longer, in characters. */
export const longestNote = 500

/**
 * The customer register: every write is a PUT of a whole resource under the caller's own id, so saying it twice changes
 * nothing the second time. Only a change is an effect.
 *
 * `PUT /contacts/:id`, `PUT /deals/:order/stages/:stage`, `PUT /notes/:id`
 */
export function crm(ledger: Ledger): Api {
  const stored = new Map<string, string>()
  let absorbed = 0
  return {
    name: 'crm',
    absorbed: () => absorbed,
    answer({ method, path, body }) {
      const effect = method === 'PUT' ? effectOf(path, body) : undefined
      if (!effect) return refuse(404, 'unknown_path', path)
      if (effect.effect === 'note' && String(body['text']).length > longestNote) {
        return refuse(422, 'too_long', `a note has at most ${longestNote} characters`)
      }
      const next = JSON.stringify(body)
      const changed = stored.get(path) !== next
      const status = stored.has(path) ? 200 : 201
      stored.set(path, next)
      if (changed) ledger.write(effect)
      else absorbed++
      return { status, body: { id: effect.key, changed } }
    },
  }
}

function effectOf(path: string, body: Record<string, unknown>): Effect | undefined {
  const [, kind, id, stages, stage, more] = path.split('/').map(decodeURIComponent)
  if (!id || more !== undefined) return undefined
  if (kind === 'contacts' && stages === undefined) return { api: 'crm', effect: 'contact', key: id }
  if (kind === 'notes' && stages === undefined) {
    return { api: 'crm', effect: 'note', key: id, lane: String(body['channel']) }
  }
  if (kind === 'deals' && stages === 'stages' && stage) return { api: 'crm', effect: 'stage', key: `${id}/${stage}` }
  return undefined
}
