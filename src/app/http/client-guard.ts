import type { LookupOptions } from 'node:dns'
import { lookup as lookupHost } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { isPublicAddress, type Network } from '#kernel/address.ts'

/** All addresses of a name, as the system resolves it. Rejects with the system's error. */
export type Resolve = (hostname: string) => Promise<readonly string[]>

/** Which addresses a socket may be connected to, when its target comes from data. */
export type Guard = {
  /** Undefined when it is allowed, else the error to give up with. */
  readonly refused: (address: string | undefined) => Error | undefined
  /** For `net.connect`: resolves, and fails unless every address is allowed. */
  readonly lookup: LookupFunction
}

export const refusedCode = 'ERR_TARGET_REFUSED'

/**
 * Public addresses only, and `allowed` networks. A name of which one address is not allowed is refused whole: whoever answers
 * so is either not set up for strangers or trying something. What was looked up here is what is connected to, so a name that
 * changes its mind a moment later (DNS rebinding) gains nothing; the next socket asks, and decides, anew.
 */
export function publicOnly(allowed: readonly Network[], resolve: Resolve = system): Guard {
  const refused: Guard['refused'] = (address) =>
    address !== undefined && isPublicAddress(address, allowed)
      ? undefined
      : Object.assign(new Error('the target is not a public address'), { code: refusedCode })
  const look = async (hostname: string, options: LookupOptions, callback: Found): Promise<void> => {
    let addresses: readonly string[]
    try {
      addresses = await resolve(hostname)
    } catch (e) {
      return callback(e as NodeJS.ErrnoException, '')
    }
    const wrong = addresses.map(refused).find((e) => e !== undefined)
    const [first] = addresses
    if (wrong || first === undefined) {
      return callback(wrong ?? Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '')
    }
    if (!options.all) return callback(null, first, isIP(first))
    callback(
      null,
      addresses.map((address) => ({ address, family: isIP(address) })),
    )
  }
  // Settles always: it hands over what went wrong.
  return { refused, lookup: (hostname, options, callback) => void look(hostname, options, callback) }
}

type Found = Parameters<LookupFunction>[2]

async function system(hostname: string): Promise<readonly string[]> {
  return (await lookupHost(hostname, { all: true })).map((found) => found.address)
}
