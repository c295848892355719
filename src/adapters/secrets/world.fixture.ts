import type { HttpOut, HttpRequest, HttpResponse } from '#kernel/http.ts'
import { fault } from '#kernel/fault.ts'
import type { Files } from '#kernel/runtime.ts'
import { SecretValue, type Secrets } from '#kernel/secret.ts'
import { seededRandom } from '#testing/random.ts'
import type { SuiteWorld } from './conformance.ts'
import type { SecretsRuntime } from './port.ts'

/** A source's whole outside: the world of the suite, a stand-in behind HTTP, files and environment as tables. */
export function runtimeOf(
  world: SuiteWorld,
  given: {
    readonly http?: Pick<HttpOut, 'send'>
    readonly files?: Files
    readonly env?: Readonly<Record<string, string>>
  },
): SecretsRuntime {
  const { env = {} } = given
  const secrets: Secrets = {
    read: (name) =>
      name in env
        ? Promise.resolve([new SecretValue(name, env[name]!)])
        : Promise.reject(fault('config.secret', { message: `${name} is not set`, detail: { secret: name } })),
  }
  const none = (): Promise<never> => Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' }))
  return {
    ...world,
    random: seededRandom(1),
    http: given.http ?? { send: () => Promise.reject(fault('bug', { message: 'nothing is sent here' })) },
    files: given.files ?? { read: none, stat: none },
    secrets,
  }
}

export type Answer = { readonly status: number; readonly body?: unknown; readonly text?: string }

/** A stand-in for somebody's API. `away` makes it unreachable; `seen` are the requests that arrived. */
export class StandIn implements Pick<HttpOut, 'send'> {
  readonly seen: HttpRequest[] = []
  away = false
  readonly #answer: (request: HttpRequest, json: () => Readonly<Record<string, unknown>>) => Answer

  constructor(answer: (request: HttpRequest, json: () => Readonly<Record<string, unknown>>) => Answer) {
    this.#answer = answer
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    if (this.away) throw fault('connection.unreachable', { detail: { phase: 'connect', reason: 'ECONNREFUSED' } })
    this.seen.push(request)
    const { status, body, text } = this.#answer(
      request,
      () => JSON.parse(String(request.body)) as Record<string, unknown>,
    )
    await Promise.resolve()
    return {
      status,
      headers: {},
      body: new TextEncoder().encode(text ?? (body === undefined ? '' : JSON.stringify(body))),
      phases: { total: 0 },
    }
  }
}
