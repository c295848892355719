/**
 * The rooms of `src/` and who may import whom. An arrow points left only:
 *
 *     kernel ← resilience ← adapters/<kind> port ← journal ← patterns/<name> ← connectors ← app ← cli, console, blueprint, testing
 *     adapters/<kind>/<vendor>: kernel, resilience and its own port; nobody imports it, but app and testing their defaults
 *     device: kernel and patterns/mappings
 *     index.ts (front door): everything left of cli
 */
export type Room = {
  readonly name: string
  /** Position in the row above. */
  readonly rank: number
  /** Which one of its kind: the pattern, the kind of adapter. */
  readonly part?: string
  readonly vendor?: string
}

const row = ['kernel', 'resilience', 'adapters', 'journal', 'patterns', 'connectors', 'app'] as const
/** What `app` and `testing` take when they are handed no other: a store in memory, secrets from the environment. */
const defaults = ['stores/sqlite', 'secrets/env']
const faces = ['cli', 'console', 'blueprint', 'testing']
/** What stands in `adapters/<kind>/` beside the vendors: the contract, its suite, and what all vendors of the kind share. */
const contract = /^(?:port|conformance|cursor|statement|ask|cache|login|options|unlock)(?:\.ts$|\/)|^migrations\//

/** The room of a file under `src/`; undefined when there is no such room. */
export function roomOf(path: string): Room | undefined {
  const parts = path.split('/').slice(1)
  const [name, part] = parts as [string, string | undefined]
  if (parts.length === 1) return name === 'index.ts' ? { name: 'front', rank: row.length + 1 } : undefined
  if (name === 'device') return { name, rank: row.length + 1 }
  if (faces.includes(name)) return { name, rank: row.length }
  const rank = row.indexOf(name as (typeof row)[number])
  if (rank < 0) return undefined
  if (name === 'patterns') return parts.length > 2 ? { name, rank, part: part! } : undefined
  if (name === 'adapters') {
    if (parts.length < 3) return undefined
    const inside = parts.slice(2).join('/')
    if (contract.test(inside)) return { name, rank, part: part! }
    return { name, rank, part: part!, vendor: parts[2]!.replace(/(?:\.test|\.fixture)?\.ts$/, '') }
  }
  return { name, rank }
}

/** Files of the same shared room reach each other with `./` and `../`; all others with `#`. */
export function sharedRoom(path: string): string {
  const parts = path.split('/')
  return parts.slice(0, parts[1] === 'patterns' || parts[1] === 'adapters' ? 3 : 2).join('/')
}

/** Why `from` may not import `to`, or undefined when it may. `door` when it is spelled with the package's own name. */
export function arrowProblem(from: string, to: string, door: boolean): string | undefined {
  const a = roomOf(from)
  const b = roomOf(to)
  if (!a) return undefined
  if (!b) return 'it is in no room'
  const same = a.name === b.name && a.part === b.part && a.vendor === b.vendor
  if (same) return undefined
  if (b.vendor !== undefined) {
    if ((a.name === 'app' || a.name === 'testing') && defaults.includes(`${b.part}/${b.vendor}`)) return undefined
    if (door && a.rank >= row.indexOf('app') && a.name !== 'device' && a.name !== 'front') return undefined
    return 'nobody imports a vendor adapter; the user hands one to fairlead(), others from app on use its public door'
  }
  if (door) return 'a room is imported by its path; the package name is for vendor adapters behind their door'
  if (b.name === 'front' || b.name === 'device')
    return `nobody in src imports ${b.name === 'front' ? 'the front door' : 'device'}`
  if (a.name === 'device') {
    return b.name === 'kernel' || b.part === 'mappings' ? undefined : 'device imports kernel and patterns/mappings only'
  }
  if (a.vendor !== undefined) {
    const ok = b.name === 'kernel' || b.name === 'resilience' || (b.name === 'adapters' && b.part === a.part)
    return ok ? undefined : 'a vendor adapter imports kernel, resilience and its own port only'
  }
  if (a.name === 'patterns' && b.name === 'patterns')
    return 'patterns never import each other: share a handle (kernel/handle.ts)'
  if (a.name === 'front' && faces.includes(b.name))
    return `the front door does not lead to ${b.name}: it has a door of its own`
  if (b.rank < a.rank) return undefined
  return `${label(a)} stands left of ${label(b)} or beside it; arrows point left only`
}

function label(r: Room): string {
  return [r.name, r.part, r.vendor].filter((p) => p !== undefined).join('/')
}
