import type { Clock } from '#kernel/clock.ts'
import { StandIn, type Answer } from './world.fixture.ts'

type Written = { data: Record<string, string>; created: number; destroyed: boolean }
type Token = { until: number; ttl: number; renewals: number }

/**
 * What of Vault's API the adapter uses, written from its published description: AppRole and Kubernetes logins, tokens with a
 * time to live that can be renewed up to a maximum, KV version 2 with metadata, namespaces, policies (here: paths that are closed).
 */
export class VaultStandIn extends StandIn {
  readonly paths = new Map<string, Written[]>()
  readonly tokens = new Map<string, Token>()
  readonly closed = new Set<string>()
  secretId = 'unlock-secret-id'
  ttl = 1_200
  maxTtl = 6_000
  namespace: string | undefined
  logins = 0
  reads = 0
  revoked = 0
  readonly #clock: Clock

  constructor(clock: Clock) {
    super((request, json) => {
      const { pathname, searchParams } = new URL(request.origin + request.path)
      if (request.headers['x-vault-request'] !== 'true') return { status: 400 }
      if (request.headers['x-vault-namespace'] !== this.namespace) return { status: 404, body: { errors: [] } }
      if (pathname === '/v1/auth/approle/login') {
        const { role_id: role, secret_id: secret } = json()
        if (role !== 'unlock-role-id' || secret !== this.secretId)
          return { status: 400, body: { errors: ['invalid role or secret ID'] } }
        return this.#issue()
      }
      if (pathname === '/v1/auth/kubernetes/login') {
        const { role, jwt } = json()
        return role === 'billing' && jwt === 'pod-token-canary' ? this.#issue() : { status: 403, body: { errors: [] } }
      }
      const name = request.headers['x-vault-token'] ?? ''
      const token = this.tokens.get(name)
      if (!token || token.until <= this.#clock.mono()) return { status: 403, body: { errors: ['permission denied'] } }
      if (pathname === '/v1/auth/token/renew-self') return this.#renew(name, token)
      if (pathname === '/v1/auth/token/lookup-self')
        return { status: 200, body: { data: { ttl: token.ttl, renewable: true } } }
      if (pathname === '/v1/auth/token/revoke-self') {
        this.tokens.delete(name)
        this.revoked++
        return { status: 204 }
      }
      if (!pathname.startsWith('/v1/secret/data/')) return { status: 404, body: { errors: [] } }
      return this.#read(decodeURIComponent(pathname.slice('/v1/secret/data/'.length)), searchParams.get('version'))
    })
    this.#clock = clock
  }

  write(path: string, data: Record<string, string>): void {
    const versions = this.paths.get(path) ?? []
    versions.push({ data, created: this.#clock.now(), destroyed: false })
    this.paths.set(path, versions)
  }

  #issue(): Answer {
    const name = `hvs.token-${++this.logins}`
    this.tokens.set(name, { until: this.#clock.mono() + this.ttl * 1_000, ttl: this.ttl, renewals: 0 })
    return { status: 200, body: { auth: { client_token: name, lease_duration: this.ttl, renewable: true } } }
  }

  #renew(name: string, token: Token): Answer {
    token.renewals++
    const left = this.maxTtl - token.renewals * this.ttl
    token.ttl = Math.max(1, Math.min(this.ttl, left))
    token.until = this.#clock.mono() + token.ttl * 1_000
    return { status: 200, body: { auth: { client_token: name, lease_duration: token.ttl, renewable: true } } }
  }

  #read(path: string, asked: string | null): Answer {
    this.reads++
    if (this.closed.has(path)) return { status: 403, body: { errors: ['permission denied'] } }
    const versions = this.paths.get(path)
    const version = asked === null ? versions?.length : Number(asked)
    const found = versions?.[(version ?? 0) - 1]
    if (!found) return { status: 404, body: { errors: [] } }
    const metadata = {
      version,
      created_time: new Date(found.created).toISOString(),
      deletion_time: '',
      destroyed: found.destroyed,
    }
    if (found.destroyed) return { status: 404, body: { data: { data: null, metadata } } }
    return { status: 200, body: { data: { data: found.data, metadata } } }
  }
}
