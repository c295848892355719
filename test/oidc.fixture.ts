import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { exportPKCS8, exportJWK, generateKeyPair } from 'jose'
import type Provider from 'oidc-provider'

export const clientSecret = 'canary-client-secret-0123456789'

export type Oidc = {
  readonly issuer: string
  /** Requests to the token endpoint: their forms. Filled by who sends them. */
  readonly asked: URLSearchParams[]
  readonly provider: Provider
  /** Private keys of `pkjwt-rsa` (PEM) and `pkjwt-ec` (JWK). */
  readonly keys: { readonly rsa: string; readonly ec: string }
  /** Withdraws everything that was ever allowed. */
  revoke(): Promise<void>
  /** Answers 503 to everything. */
  down: boolean
  /** Every access token that it gave, by what it says when asked. */
  knows(token: string): Promise<{ readonly client: string | undefined; readonly scope: string | undefined } | undefined>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * oidc-provider on this machine, strict: PKCE required, refresh tokens rotated and a whole grant ended when one is used twice,
 * the issuer in each authorization response. A person who comes to it is logged in and allows everything.
 */
export async function oidc(redirectUri: string): Promise<Oidc> {
  const quiet = quieten()
  const { default: Provider } = await import('oidc-provider')
  const rsa = await generateKeyPair('RS256', { extractable: true })
  const ec = await generateKeyPair('ES256', { extractable: true })
  const publicJwk = async (key: typeof rsa.publicKey, kid: string, alg: string) => ({
    ...(await exportJWK(key)),
    kid,
    alg,
    use: 'sig',
  })
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const issuer = `http://127.0.0.1:${port}`
  const machine = {
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    scope: 'orders.read orders.write',
  }
  const provider = new Provider(issuer, {
    clients: [
      {
        ...machine,
        client_id: 'basic',
        client_secret: clientSecret,
        token_endpoint_auth_method: 'client_secret_basic',
      },
      { ...machine, client_id: 'post', client_secret: clientSecret, token_endpoint_auth_method: 'client_secret_post' },
      {
        ...machine,
        client_id: 'pkjwt-rsa',
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [await publicJwk(rsa.publicKey, 'r1', 'RS256')] },
      },
      {
        ...machine,
        client_id: 'pkjwt-ec',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [await publicJwk(ec.publicKey, 'e1', 'ES256')] },
      },
      {
        client_id: 'app',
        client_secret: clientSecret,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [redirectUri],
        scope: 'openid offline_access orders.read orders.write',
      },
    ],
    scopes: ['openid', 'offline_access', 'orders.read', 'orders.write'],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => Promise.resolve(client.grantTypeAllowed('refresh_token')),
    ttl: {
      AccessToken: 3_600,
      ClientCredentials: 3_600,
      AuthorizationCode: 60,
      RefreshToken: 86_400,
      Grant: 86_400,
      Interaction: 600,
      Session: 600,
      IdToken: 600,
    },
    cookies: { keys: ['cookie-key'] },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    renderError: (ctx, out) => void (ctx.body = out.error),
  })
  const grants: string[] = []
  const asked: URLSearchParams[] = []
  const self: Oidc = {
    issuer,
    asked,
    provider,
    keys: { rsa: await exportPKCS8(rsa.privateKey), ec: JSON.stringify(await exportJWK(ec.privateKey)) },
    down: false,
    async revoke() {
      for (const id of grants) await (await provider.Grant.find(id))?.destroy()
    },
    async knows(token) {
      const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token))
      return found && { client: found.clientId, scope: found.scope }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      quiet()
    },
  }
  const interact = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const details = await provider.interactionDetails(request, response)
    const { client_id: clientId, scope } = details.params as { readonly client_id: string; readonly scope: string }
    const grant = new provider.Grant({ accountId: 'anna', clientId })
    grant.addOIDCScope(scope)
    const grantId = await grant.save()
    grants.push(grantId)
    await provider.interactionFinished(request, response, { login: { accountId: 'anna' }, consent: { grantId } })
  }
  const handle = provider.callback()
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (self.down) return void response.writeHead(503).end()
    if (request.url?.startsWith('/interaction/')) return void interact(request, response)
    void handle(request, response)
  })
  return self
}

/** It warns of everything that makes it easy to try out. */
function quieten(): () => void {
  const { info, warn } = console
  const filter =
    (to: typeof warn) =>
    (...said: unknown[]) => {
      if (!String(said[0]).includes('oidc-provider')) to(...said)
    }
  console.info = filter(info)
  console.warn = filter(warn)
  return () => {
    console.info = info
    console.warn = warn
  }
}

/** A browser: keeps cookies by host and port, follows redirects, presses the one button. `us` answers for our own origin. */
export class Browser {
  readonly #us: string
  readonly #fetch: (request: Request) => Promise<Response>
  readonly #cookies = new Map<string, Map<string, string>>()
  readonly visited: string[] = []

  constructor(us: string, fetchOurs: (request: Request) => Promise<Response>) {
    this.#us = us
    this.#fetch = fetchOurs
  }

  /** One request, without following. */
  async get(url: string, init: RequestInit = {}): Promise<Response> {
    this.visited.push(url)
    const { origin } = new URL(url)
    const jar = this.#cookies.get(origin) ?? new Map<string, string>()
    this.#cookies.set(origin, jar)
    const headers = new Headers(init.headers)
    if (jar.size > 0) headers.set('cookie', [...jar].map(([n, v]) => `${n}=${v}`).join('; '))
    const request = new Request(url, { ...init, headers, redirect: 'manual' })
    const response = await (origin === this.#us ? this.#fetch(request) : fetch(request))
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!
      if (value === '') jar.delete(name!)
      else jar.set(name!, value!)
    }
    return response
  }

  /** Presses the button of the page and follows to `until`, which is not requested, or to the first page. */
  async press(url: string, until?: string): Promise<{ readonly url: string; readonly response: Response }> {
    const page = await (await this.get(url)).text()
    const action = /action="([^"]+)"/.exec(page)
    const ticket = /name="ticket" value="([^"]+)"/.exec(page)
    if (!action || !ticket) throw new Error(`no button: ${page}`)
    const body = new URLSearchParams({ ticket: ticket[1]! })
    return this.#follow(
      new URL(action[1]!, url).href,
      await this.get(new URL(action[1]!, url).href, { method: 'POST', body }),
      until,
    )
  }

  async #follow(url: string, response: Response, until?: string): Promise<{ url: string; response: Response }> {
    const location = response.headers.get('location')
    if (location === null) return { url, response }
    const next = new URL(location, url).href
    await response.body?.cancel()
    if (until !== undefined && next.startsWith(until)) return { url: next, response }
    return this.#follow(next, await this.get(next), until)
  }
}
