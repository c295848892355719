import { Buffer } from 'node:buffer'
import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto'
import { fault } from '#kernel/fault.ts'
import type { SecretValue } from '#kernel/secret.ts'

/** Shorter text can be guessed offline from one captured delivery. Every provider's own secrets are longer. */
const shortest = 16

/** HMAC keys of secrets that a scheme uses as text: their UTF-8 bytes. Throws `config.secret` when none or too short. */
export function textKeys(scheme: string, secrets: readonly SecretValue[]): readonly KeyObject[] {
  someSecret(scheme, secrets)
  return secrets.map((s) => {
    const bytes = Buffer.from(s.reveal(), 'utf8')
    if (bytes.length < shortest) throw unusable(s, `is shorter than ${shortest} bytes: copy the whole secret`)
    return createSecretKey(bytes)
  })
}

export function someSecret(scheme: string, secrets: readonly SecretValue[]): void {
  if (secrets.length > 0) return
  throw fault('config.secret', { message: `${scheme}: no secret is set, so nothing could be verified` })
}

export function unusable(secret: SecretValue, why: string): Error {
  return fault('config.secret', { message: `the secret ${secret.name} ${why}`, detail: { secret: secret.name } })
}

export function hmac256(key: KeyObject, ...parts: readonly (string | Uint8Array)[]): Buffer {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

/**
 * Whether any candidate equals the MAC of the parts under any key. Time does not depend on how much of a wrong
 * candidate matches; it may show which of several keys matched, which is no secret.
 */
export function anyMatch(
  keys: readonly KeyObject[],
  candidates: readonly Uint8Array[],
  ...parts: readonly (string | Uint8Array)[]
): boolean {
  for (const key of keys) {
    const mac = hmac256(key, ...parts)
    for (const candidate of candidates) if (sameBytes(mac, candidate)) return true
  }
  return false
}

/** Constant-time for equal lengths; unequal lengths are unequal (a length is public). */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** The bytes of a hex text of exactly `length` bytes, either case; undefined for anything else. */
export function hexBytes(text: string, length: number): Uint8Array | undefined {
  if (text.length !== length * 2) return undefined
  const bytes = Buffer.from(text, 'hex') // stops at the first character that is no hex digit
  return bytes.length === length ? bytes : undefined
}

/**
 * The bytes of a padded standard base64 text of exactly `length` bytes. base64url, missing padding and spare bits are
 * refused: one value has one spelling, so nothing but the signature itself can be changed unnoticed.
 */
export function base64Bytes(text: string, length: number): Uint8Array | undefined {
  if (text.length !== Math.ceil(length / 3) * 4) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === length && bytes.toString('base64') === text ? bytes : undefined
}
