import { checkOptions, isDefinition, type Problem } from '#kernel/definition.ts'
import { isDuration, milliseconds, type Duration } from '#kernel/duration.ts'
import type { OperationHandle, TopicHandle } from '#kernel/handle.ts'
import { isSpan } from '../check/parts.ts'
import type { ConnectionOptions, OperationSpec } from '../define.ts'

/**
 * Answers of GET, HEAD and QUERY are kept and given again by the rules of RFC 9111, as a private cache: in the memory of this process, at
 * most 1,000 answers and 16 MiB a connection, none above 2 MiB, the one that was not needed for longest goes first. A crash or a stop forgets all.
 */
export type CacheOptions = {
  /**
   * How long an answer is fresh that says nothing of it (no `max-age`, no `Expires`): a time, or `'10%'` of its age since
   * `Last-Modified`, at most a day. Default: such an answer is asked for anew, with its validator where it has one.
   */
  readonly heuristic?: Duration | '10%'
  /** Longest time past its end that an answer is given, where it allows that itself (`stale-while-revalidate`, `stale-if-error`). Default 1 h. */
  readonly stale?: Duration
  /**
   * Topics whose messages say that something has changed over there: `productChanged`, or `invalidatedBy(productChanged, (p) => …)`.
   * Of a connection they are about all its operations, of an operation about that one. At most 20.
   */
  readonly invalidate?: Invalidated | readonly Invalidated[]
}

export type Invalidated = TopicHandle | Invalidation

export type Invalidation = {
  readonly on: TopicHandle
  /** Absent: everything is forgotten. */
  readonly key?: (data: never) => Changed
}

/**
 * What a message says has changed: a path as in the line of an operation, with all below it (`/products/17`, also
 * `/products/17/prices` and `/products/17?full=1`, not `/products/170`); one operation with one input; or nothing.
 */
export type Changed = string | { readonly operation: OperationHandle; readonly input: unknown } | undefined

/**
 * Forgets what a message is about, and nothing else.
 *
 * In the process that publishes it happens before `publish` resolves; in the others as soon as they hear of the message (100 ms with
 * SQLite, some milliseconds with PostgreSQL). A handler never gets an answer older than its own message. `key` gets the data as
 * published; when it throws, everything that the topic is about is forgotten.
 *
 * @example
 * cache: { invalidate: invalidatedBy(productChanged, (p) => `/products/${p.id}`) }
 */
export function invalidatedBy<T>(on: TopicHandle<never, T>, key: (data: T) => Changed): Invalidation {
  return Object.freeze({ on, key })
}

/** The options of an operation, all defaults filled in. Times in milliseconds. */
export type CacheRules = {
  readonly heuristic: number | '10%' | undefined
  readonly stale: number
}

const cacheable: ReadonlySet<string> = new Set(['GET', 'HEAD', 'QUERY'])

/** Undefined where nothing is kept. Each option of an operation that is absent is the connection's. */
export function cacheRules(spec: OperationSpec, options: ConnectionOptions, method: string): CacheRules | undefined {
  const own = spec.cache
  const wanted = own ?? options.cache
  if (wanted === undefined || wanted === false || !cacheable.has(method)) return undefined
  if ((spec.stream ?? spec.graphql ?? spec.soap ?? spec.grpc) !== undefined) return undefined
  const both = { ...objectOf(options.cache), ...objectOf(own) }
  const { heuristic, stale } = both
  return {
    heuristic: heuristic === undefined || heuristic === '10%' ? heuristic : milliseconds(heuristic),
    stale: milliseconds(stale ?? '1h'),
  }
}

function objectOf(cache: boolean | CacheOptions | undefined): CacheOptions {
  return typeof cache === 'object' && cache !== null ? cache : {}
}

/** Also of a definition that has not been checked: what is nothing of the kind is passed over. */
export function invalidationsOf(cache: boolean | CacheOptions | undefined): readonly Invalidation[] {
  const { invalidate = [] } = objectOf(cache)
  return [invalidate]
    .flat()
    .map((i): Invalidation => (isTopic(i) ? { on: i } : i))
    .filter((i) => isTopic((i as Partial<Invalidation> | null)?.on))
}

function isTopic(value: unknown): value is TopicHandle {
  return isDefinition(value) && value.kind === 'topic'
}

/** `method`: of the operation, or the protocol that it speaks over HTTP; absent for a connection. */
export function cacheProblems(path: string, cache: unknown, method?: string): Problem[] {
  if (cache === undefined || cache === false) return []
  if (method !== undefined && !cacheable.has(method))
    return [{ path, message: `${method} is never answered out of memory`, fix: 'use it on plain GET, HEAD or QUERY' }]
  if (cache === true) return []
  const problems = checkOptions(path, cache, ['heuristic', 'stale', 'invalidate'])
  if (typeof cache !== 'object' || cache === null) return problems
  const { heuristic, stale, invalidate } = cache as Readonly<Record<string, unknown>>
  const add = (name: string, message: string, fix: string): void =>
    void problems.push({ path: `${path}.${name}`, message, fix })
  if (heuristic !== undefined && heuristic !== '10%' && !isSpan(heuristic))
    add('heuristic', 'is not a time', "use a duration such as '5m', or '10%'")
  if (stale !== undefined && !isDuration(stale)) add('stale', 'is not a time', "use a duration: '1h', '0s' for never")
  const list = invalidate === undefined ? [] : [invalidate].flat()
  if (list.length > 20) add('invalidate', 'has more than 20 topics', 'use one topic for them')
  for (const [i, each] of list.entries()) {
    const bare = isTopic(each)
    const { on, key } = (bare ? { on: each } : (each ?? {})) as { readonly on?: unknown; readonly key?: unknown }
    if (!isTopic(on))
      add(`invalidate[${i}]`, 'is not a topic', 'pass what topic(…) returned, or invalidatedBy(topic, (data) => …)')
    else if (!bare) problems.push(...checkOptions(`${path}.invalidate[${i}]`, each, ['on', 'key']))
    if (key !== undefined && typeof key !== 'function')
      add(`invalidate[${i}].key`, 'is not a function', 'use (data) => a path')
  }
  return problems
}
