import { createHash, X509Certificate } from 'node:crypto'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import {
  checkServerIdentity,
  connect as connectTls,
  createSecureContext,
  getCACertificates,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import type { Clock } from '#kernel/clock.ts'
import type { Guard } from './client-guard.ts'

/** What a connection trusts beyond the usual, and what it shows: a private CA in addition to the system's, keys that must be in the chain. */
export type Trust = {
  /** Certificates in PEM, added to the default ones. */
  readonly ca?: readonly string[]
  /** base64 of SHA-256 over a SubjectPublicKeyInfo (RFC 7469 §2.4); one in the chain must match, after the chain was verified. */
  readonly pins?: readonly string[]
  /** Our certificate, then what stands between it and their authority, in PEM; and its key. */
  readonly cert?: string
  readonly key?: string
}

/** Trust that may be replaced while sockets are open. */
export type Trusting = {
  readonly current: Trust
  /** Told with each new TLS socket when their certificate ends, milliseconds since the epoch. */
  peer?(origin: string, expires: number): void
}

export type Stage = 'dns' | 'connect' | 'tls'
/** How long each stage took, milliseconds; what did not happen (an address needs no DNS) is absent. */
export type Opened = { readonly dns?: number; readonly connect?: number; readonly tls?: number }

export type Opening = {
  /** Where it stands: tells a refused port from a refused certificate. */
  readonly stage: () => Stage
  /** Gives up: the callback gets `reason`. Idempotent. */
  readonly abandon: (reason: Error) => void
}

type Target = { readonly protocol: string; readonly hostname: string; readonly port: string }
type Done = (error: Error | null, socket: Socket | null, opened: Opened) => void

/** Makes sockets. TLS is at least 1.2 and verified, whatever NODE_TLS_REJECT_UNAUTHORIZED says: there is no option to stop it. */
export function socketOpener(
  clock: Clock,
  trusting: Trusting | undefined,
  { guard, version }: { readonly guard?: Guard | undefined; readonly version?: 2 | undefined } = {},
): (target: Target, done: Done) => Opening {
  let made: { readonly trust: Trust | undefined; readonly context: SecureContext } | undefined
  return ({ protocol, hostname: host, port }, done) => {
    const hostname = host.startsWith('[') ? host.slice(1, -1) : host
    const secure = protocol === 'https:'
    const trust = trusting?.current
    if (secure && made?.trust !== trust) made = undefined
    const started = clock.mono()
    const literal = isIP(hostname) !== 0
    let stage: Stage = literal ? 'connect' : 'dns'
    const forbidden = literal ? guard?.refused(hostname) : undefined
    if (forbidden) {
      queueMicrotask(() => done(forbidden, null, {}))
      return { stage: () => stage, abandon: () => undefined }
    }
    const lookup = guard && { lookup: guard.lookup }
    let looked: number | undefined
    let connected: number | undefined
    let ended = false
    const socket: Socket = secure
      ? connectTls({
          host: hostname,
          port: Number(port || 443),
          ...lookup,
          ...(literal ? {} : { servername: hostname }),
          secureContext: (made ??= { trust, context: secureContext(trust) }).context,
          rejectUnauthorized: true,
          checkServerIdentity: (host, cert) => checkServerIdentity(host, cert) ?? unpinned(cert, trust?.pins),
          ALPNProtocols: [version === 2 ? 'h2' : 'http/1.1'],
        })
      : connectTcp({ host: hostname, port: Number(port || 80), ...lookup })
    const found = (failed: Error | null): void => {
      // Also told when the name could not be resolved: that is no step forward.
      if (failed) return
      looked ??= clock.mono()
      stage = 'connect'
    }
    const connect = (): void => {
      connected = clock.mono()
      stage = 'tls'
      // Once more, about the end that the socket really has.
      const wrong = guard?.refused(socket.remoteAddress)
      if (wrong) end(wrong)
      else if (!secure) end(null)
    }
    const ready = (): void => {
      const expires = (socket as TLSSocket).getPeerX509Certificate()?.validToDate.getTime()
      if (expires !== undefined) trusting?.peer?.(`${hostname}:${port || 443}`, expires)
      const other = version === 2 && (socket as TLSSocket).alpnProtocol !== 'h2'
      end(other ? Object.assign(new Error('the server does not speak HTTP/2'), { code: 'ERR_HTTP2_REFUSED' }) : null)
    }
    const error = (e: Error): void => end(e)
    const close = (): void => end(new Error('the socket closed while it was being opened'))
    const end = (e: Error | null): void => {
      if (ended) return
      ended = true
      socket.off('lookup', found).off('connect', connect).off('secureConnect', ready).off('close', close)
      if (e) {
        // The error listener stays: a socket being torn down may have one more to report.
        socket.destroy()
        return done(e, null, {})
      }
      socket.off('error', error)
      // Known beforehand: undici asks the socket which of the two it speaks.
      if (version === 2 && !secure) Object.assign(socket, { alpnProtocol: 'h2' })
      const now = clock.mono()
      const from = literal ? started : (looked ?? started)
      done(null, socket, {
        ...(looked === undefined || literal ? {} : { dns: looked - started }),
        ...(connected === undefined ? {} : { connect: connected - from, ...(secure ? { tls: now - connected } : {}) }),
      })
    }
    socket.setNoDelay(true).setKeepAlive(true, 60_000)
    socket.on('lookup', found).on('connect', connect).on('secureConnect', ready).on('error', error).on('close', close)
    return { stage: () => stage, abandon: (reason) => end(reason) }
  }
}

function secureContext(trust: Trust | undefined): SecureContext {
  const { ca = [], cert, key } = trust ?? {}
  return createSecureContext({
    // Here, not beside the context, where it would be ignored.
    minVersion: 'TLSv1.2',
    ...(ca.length > 0 ? { ca: [...getCACertificates('default'), ...ca] } : {}),
    ...(cert !== undefined && key !== undefined ? { cert, key } : {}),
  })
}

/**
 * Called when the chain has been verified. Each certificate must have signed the one before it: what they send beside their
 * chain would otherwise count by its name alone.
 */
function unpinned(cert: PeerCertificate, pins: readonly string[] | undefined): Error | undefined {
  if (pins === undefined || pins.length === 0) return undefined
  let below: X509Certificate | undefined
  for (let c: PeerCertificate | undefined = cert; c?.raw; c = issuer(c)) {
    const own = new X509Certificate(c.raw)
    if (below && !(below.checkIssued(own) && below.verify(own.publicKey))) break
    const key = own.publicKey.export({ type: 'spki', format: 'der' })
    if (pins.includes(createHash('sha256').update(key).digest('base64'))) return undefined
    // A root names itself as its issuer.
    if (below?.fingerprint256 === own.fingerprint256) break
    below = own
  }
  return new Error('no key of the certificate chain is pinned')
}

function issuer(cert: PeerCertificate): PeerCertificate | undefined {
  return (cert as Partial<DetailedPeerCertificate>).issuerCertificate
}
