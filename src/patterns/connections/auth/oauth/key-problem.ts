import { isFault } from '#kernel/fault.ts'
import type { Secrets } from '#kernel/secret.ts'
import type { Auth } from '../auth.ts'
import { keyRing } from './seal.ts'

/** What is wrong with the key that tokens are sealed with, found at the start and not with the first token. Undefined: nothing. */
export async function tokenKeyProblem(auth: Auth | undefined, secrets: Secrets): Promise<string | undefined> {
  if (auth?.kind !== 'oauth' || auth.tokenKey === undefined) return undefined
  try {
    keyRing(await secrets.read(auth.tokenKey.name))
    return undefined
  } catch (e) {
    return isFault(e) ? e.message : 'the key cannot be read'
  }
}
