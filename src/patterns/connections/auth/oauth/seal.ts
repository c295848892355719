import { Buffer } from 'node:buffer'
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import type { Random } from '#kernel/random.ts'
import type { SecretValue } from '#kernel/secret.ts'
import { unusable } from '../credential.ts'

type Key = { readonly id: string; readonly bytes: Uint8Array }

/** The current values of a key secret, newest first. */
export type KeyRing = readonly Key[]

const tag = 16

/** Throws `config.secret` when a value is not 32 bytes in base64 or hex. */
export function keyRing(values: readonly SecretValue[]): KeyRing {
  return values.map((value) => {
    const text = value.reveal()
    const bytes = Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? 'hex' : 'base64')
    if (bytes.length !== 32) throw unusable(value, 'is not 32 bytes in base64: openssl rand -base64 32')
    // Names the key in the row. Of 256 random bits it gives nothing away.
    return { id: createHash('sha256').update('fairlead key').update(bytes).digest('hex').slice(0, 12), bytes }
  })
}

/**
 * AES-256-GCM under the newest key, with a nonce of its own. `about` is authenticated with it: what was sealed for one
 * connection and purpose cannot be opened as another's.
 */
export function seal(keys: KeyRing, about: string, text: string, random: Random): string {
  const [key] = keys
  if (!key) throw new Error('no key')
  const nonce = random.bytes(12)
  const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce, { authTagLength: tag })
  cipher.setAAD(Buffer.from(about))
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return `${key.id}.${sealed.toString('base64url')}`
}

/** The text, or undefined: sealed with a key that is not in the ring, for something else, or changed since. */
export function unseal(keys: KeyRing, about: string, sealed: string): string | undefined {
  const at = sealed.indexOf('.')
  const key = keys.find((k) => k.id === sealed.slice(0, at))
  const bytes = Buffer.from(sealed.slice(at + 1), 'base64url')
  if (!key || bytes.length < 12 + tag) return undefined
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(0, 12), { authTagLength: tag })
    decipher.setAAD(Buffer.from(about))
    decipher.setAuthTag(bytes.subarray(-tag))
    return Buffer.concat([decipher.update(bytes.subarray(12, -tag)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}
