/**
 * Whether an address of the network is one that anybody may be sent to. For targets that come from data (the endpoint that a
 * customer typed in): what they name must not lead into our own network. Decide about the address that is connected to, not about
 * a name: names change their minds.
 */

/** Networks that are not the public internet, as prefixes of IPv4. IANA IPv4 Special-Purpose Address Registry. */
const special4 = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // shared: carriers, and metadata of Alibaba Cloud
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // the host of a machine at Azure, on a public address
  '169.254.0.0/16', // link-local, and metadata of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments, and metadata of Oracle Cloud
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // relays of 6to4, withdrawn
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
].map(known)

/** Only global unicast is public at all; of it not these. IANA IPv6 Special-Purpose Address Registry. */
const global6 = known('2000::/3')
const special6 = [
  '2001::/23', // protocol assignments, Teredo among them: an address of IPv4 inside
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: an address of IPv4 inside, withdrawn
  '3fff::/20', // documentation
].map(known)
/** The address of IPv4 in the last 32 bits is the one that is reached: mapped, and translated by the well-known prefix of NAT64. */
const carriers = ['::ffff:0:0/96', '64:ff9b::/96'].map(known)

/** A network: its first bits, as 16-bit words of IPv6 (IPv4 as mapped addresses). */
export type Network = { readonly words: readonly number[]; readonly bits: number }

/**
 * True for a public unicast address of IPv4 or IPv6; false for every other, with a zone (`fe80::1%eth0`), and for what is not an
 * address in its usual spelling: `0x7f.1`, `2130706433`, `127.1`, `010.0.0.1`. `allowed` are networks that count as public besides.
 */
export function isPublicAddress(address: string, allowed: readonly Network[] = []): boolean {
  const words = parse(address)
  if (!words) return false
  if (allowed.some((network) => within(words, network))) return true
  if (within(words, carriers[0]!)) return !special4.some((network) => within(words, network))
  if (within(words, carriers[1]!)) {
    // By the address behind the translator, to which an allowed network may belong as well.
    return isPublicAddress(dotted(words), allowed)
  }
  return within(words, global6) && !special6.some((network) => within(words, network))
}

/** `10.2.0.0/16`, `fd00::/8`, or one address; undefined when it is none. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', length, more] = text.split('/')
  const words = parse(address)
  const most = address.includes(':') ? 128 : 32
  const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
  if (!words || more !== undefined || !(bits <= most)) return undefined
  return { words, bits: 128 - most + bits }
}

function known(text: string): Network {
  return parseNetwork(text)!
}

function within(words: readonly number[], { words: base, bits }: Network): boolean {
  for (let i = 0; i * 16 < bits; i++) {
    const mask = (0xffff << Math.max(0, 16 - (bits - i * 16))) & 0xffff
    if ((words[i]! & mask) !== (base[i]! & mask)) return false
  }
  return true
}

/** Eight words; an address of IPv4 as mapped. Undefined for any other text. */
function parse(address: string): readonly number[] | undefined {
  if (!address.includes(':')) {
    const low = parse4(address)
    return low && [0, 0, 0, 0, 0, 0xffff, ...low]
  }
  const halves = address.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map(groups)
  if (!head || (halves.length === 2 && !tail)) return undefined
  if (!tail) return head.length === 8 ? head : undefined
  const gap = 8 - head.length - tail.length
  return gap < 1 ? undefined : [...head, ...Array<number>(gap).fill(0), ...tail]
}

function groups(text: string): readonly number[] | undefined {
  if (text === '') return []
  const words: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes('.')) {
      const low = parse4(part)
      if (!low) return undefined
      words.push(...low)
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) words.push(Number.parseInt(part, 16))
    else return undefined
  }
  return words
}

function parse4(text: string): readonly [number, number] | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (!match) return undefined
  const bytes = match.slice(1).map(Number)
  // A leading zero is octal to some and decimal to others.
  if (bytes.some((b, i) => b > 255 || String(b) !== match[i + 1])) return undefined
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  return [(a << 8) | b, (c << 8) | d]
}

function dotted(words: readonly number[]): string {
  const [high = 0, low = 0] = words.slice(6)
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
