import { createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

/**
 * A certificate authority for a test, in DER by hand (RFC 5280): node:crypto reads certificates and makes none. EC P-256,
 * ECDSA with SHA-256.
 */
export type Issued = { readonly cert: string; readonly key: string }

export type Wanted = {
  readonly subject: string
  /** Days from now; default from yesterday until in a year. */
  readonly from?: number
  readonly to?: number
  readonly authority?: boolean
  /** Default localhost and 127.0.0.1. */
  readonly dns?: readonly string[]
}

export class Authority {
  readonly subject: string
  readonly cert: string
  readonly #key: KeyObject

  constructor(subject: string) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.subject = subject
    this.#key = privateKey
    this.cert = certificate({ subject, authority: true }, subject, publicKey, privateKey)
  }

  /** A certificate for a key of its own. */
  issue(wanted: Wanted): Issued {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return {
      cert: certificate(wanted, this.subject, publicKey, this.#key),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    }
  }

  /** Another authority under this one, which may call itself what it likes. */
  under(subject: string): Authority {
    const below = new Authority(subject)
    const cert = certificate({ subject, authority: true }, this.subject, createPublicKey(below.cert), this.#key)
    return Object.assign(below, { cert })
  }
}

function certificate(wanted: Wanted, issuer: string, key: KeyObject, signer: KeyObject): string {
  const { subject, from = -1, to = 365, authority = false, dns = ['localhost'] } = wanted
  const at = (days: number): Buffer => der(0x18, Buffer.from(generalized(new Date(Date.now() + days * 86_400_000))))
  const extensions = sequence(
    extension('551d13', true, authority ? sequence(der(0x01, Buffer.from([0xff]))) : sequence()),
    extension('551d0f', true, der(0x03, Buffer.from(authority ? [1, 0x06] : [7, 0x80]))),
    ...(authority
      ? []
      : [
          extension('551d25', false, sequence(oid('2b06010505070301'), oid('2b06010505070302'))),
          extension(
            '551d11',
            false,
            sequence(...dns.map((n) => der(0x82, Buffer.from(n))), der(0x87, Buffer.from([127, 0, 0, 1]))),
          ),
        ]),
  )
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    name(issuer),
    sequence(at(from), at(to)),
    name(subject),
    key.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = sign('sha256', body, signer)
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = whole
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}

function der(tag: number, content: Uint8Array): Buffer {
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function integer(bytes: Uint8Array): Buffer {
  return der(0x02, bytes)
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

/** ecdsa-with-SHA256 */
const algorithm = sequence(oid('2a8648ce3d040302'))

function name(common: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(common)))))
}

function extension(id: string, critical: boolean, value: Uint8Array): Buffer {
  return sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value))
}

function generalized(at: Date): string {
  return `${at.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`
}
