import { fault } from '#kernel/fault.ts'
import { linkTo } from './link.ts'
import { isRecord, lookUp, type PageFields } from './place.ts'
import type { Mark } from './resume.ts'

/**
 * How a list goes on. `cursor`: the answer names the next page (a token, or an address on the same origin). `page`: 1, 2, 3
 * until a page is empty. `offset`: 0, then as many as have come, until a page is empty. `link`: the Link field (RFC 8288).
 */
export type PageStyle = 'cursor' | 'page' | 'offset' | 'link'

export type Pages =
  | PageStyle
  | {
      readonly style: PageStyle
      /**
       * Field of the input that asks for a page, whether or not the input schema names it. Default `cursor`, `page` or `offset`.
       * In a body dots are steps into it: `'pagination.cursor'`, `'variables.after'`; in a query they are letters.
       */
      readonly param?: string
      /** Where the answer names the next page: `'paging.next.after'`. Default the first of the usual names at the top. */
      readonly next?: string
      /** Instead of `next`: the cursor is this field of the last item (`'id'`), as long as `more` is not false. */
      readonly after?: string
      /** The cursor is a token, also when it looks like an address (base64 may begin with `/`). */
      readonly token?: true
      /** Where the answer says that there is more: `'has_more'`. */
      readonly more?: string
      /** Where the items are: `'data.items'`. Default the answer itself, or its first list. */
      readonly items?: string
      /** First page or offset. Default 1 and 0. */
      readonly first?: number
      /** Most pages of one walk. Default 10,000. */
      readonly most?: number
    }

/** What the next request has that the first had not: fields in place of the input's, or a whole path on the same origin. */
export type PageStep = {
  readonly fields?: PageFields
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Page = {
  /** The answer as it came, before the output schema: a schema may strip the cursor. */
  readonly body: unknown
  readonly headers: Readonly<Record<string, string>>
  readonly items: readonly unknown[]
  /** The whole answer, to notice a page that comes twice. */
  readonly raw: Uint8Array
  /** What was asked: the base of relative addresses. */
  readonly path: string
}

const otherStyle = 'the mark is of another style of paging'
const usual = ['next', 'next_cursor', 'nextCursor', 'next_page_token', 'nextPageToken', '@odata.nextLink']

/**
 * Walks one list: `first` is the first request, `after(page)` the next one or undefined at the end. Pure but for what it has
 * seen. Rather than end a list early in silence it throws `connection.pages`: a cursor or a page that came before, more than
 * `most` pages, a next page on another origin. `credential`: the parameter of the query that carries it, taken out of addresses
 * of theirs, so that it is the current one that is sent, and none that is kept.
 */
export function pager(
  pages: Pages | undefined,
  origin: string,
  credential?: string,
): {
  first(input: unknown): PageStep
  /** Instead of `first`: what stands in a mark. The pages before it count. */
  resume(mark: Pick<Mark, 'page' | 'at'>): PageStep
  /** What a mark keeps of a step. */
  at(step: PageStep): Mark['at']
  after(page: Page): PageStep | undefined
  items(output: unknown): readonly unknown[]
} {
  const options = typeof pages === 'object' ? pages : pages === undefined ? undefined : { style: pages }
  const style = options?.style
  const most = options?.most ?? 10_000
  const param = options?.param ?? (style === 'page' || style === 'offset' ? style : 'cursor')
  const seen = new Set<string>()
  let count = 0
  let at = 0
  let last: Uint8Array | undefined

  const fail = (reason: string): never => {
    throw fault('connection.pages', { detail: { reason, page: count } })
  }
  const once = (cursor: string): void => {
    if (seen.has(cursor)) fail('a cursor came twice')
    seen.add(cursor)
  }
  const address = (uri: string, from: string): PageStep => {
    const url = URL.parse(uri, origin + from)
    if (!url || url.origin !== origin) return fail('the next page is on another origin')
    const path = url.pathname + searchWithout(url.search, credential)
    once(path)
    return { path }
  }
  const moved = (by: number, page: Page): PageStep | undefined => {
    if (page.items.length === 0) return undefined
    if (last && same(last, page.raw)) fail('a page came twice')
    last = page.raw
    at += by
    return { fields: { [param]: at } }
  }

  return {
    first(input) {
      if (style !== 'page' && style !== 'offset') return {}
      const given = Number(lookUp(input, param) ?? Number.NaN)
      at = Number.isFinite(given) ? given : (options?.first ?? (style === 'page' ? 1 : 0))
      return { fields: { [param]: at } }
    },
    resume(mark) {
      count = mark.page
      if (count >= most) return fail(`there are more than ${most} pages`)
      if (style === 'page' || style === 'offset') {
        if (typeof mark.at !== 'number') return fail(otherStyle)
        at = mark.at
        return { fields: { [param]: at } }
      }
      const theirs = style !== undefined && options?.token !== true
      if (theirs && typeof mark.at === 'string' && mark.at.startsWith('/')) return address(mark.at, mark.at)
      if (style !== 'cursor') return fail(otherStyle)
      once(String(mark.at))
      return { fields: { [param]: mark.at } }
    },
    at: (step) => step.path ?? step.fields![param]!,
    after(page) {
      count++
      if (options === undefined) return undefined
      const step = next(page)
      if (step !== undefined && count >= most) fail(`there are more than ${most} pages`)
      return step
    },
    items(output) {
      const list = options?.items === undefined ? firstList(output) : lookUp(output, options.items)
      if (Array.isArray(list)) return list as unknown[]
      throw fault('connection.response', { message: 'the answer has no list to walk', detail: { reason: 'no-list' } })
    },
  }

  function next(page: Page): PageStep | undefined {
    if (options?.more !== undefined && lookUp(page.body, options.more) !== true) return undefined
    if (style === 'page') return moved(1, page)
    if (style === 'offset') return moved(page.items.length, page)
    if (style === 'link') {
      const uri = linkTo(page.headers['link'], 'next')
      return uri === undefined ? undefined : address(uri, page.path)
    }
    const cursor = cursorOf(page)
    if (cursor === undefined || cursor === null || cursor === '' || cursor === false) return undefined
    if (typeof cursor !== 'string' && typeof cursor !== 'number') return fail('the cursor is neither text nor a number')
    if (options?.token !== true && /^(?:https?:\/\/|\/|\?)/.test(String(cursor)))
      return address(String(cursor), page.path)
    once(String(cursor))
    return { fields: { [param]: cursor } }
  }

  function cursorOf(page: Page): unknown {
    if (options?.after !== undefined)
      return page.items.length === 0 ? undefined : lookUp(page.items.at(-1), options.after)
    if (options?.next !== undefined) return lookUp(page.body, options.next)
    const name = isRecord(page.body) ? usual.find((n) => Object.hasOwn(page.body as object, n)) : undefined
    return name === undefined ? undefined : (page.body as Record<string, unknown>)[name]
  }
}

function firstList(output: unknown): unknown {
  if (Array.isArray(output)) return output
  return isRecord(output) ? Object.values(output).find((v) => Array.isArray(v)) : undefined
}

/** By text: what is put together again from its parts is not always spelled as it came. */
function searchWithout(search: string, name: string | undefined): string {
  if (name === undefined) return search
  const parts = search.slice(1).split('&')
  const kept = parts.filter((part) => new URLSearchParams(part).get(name) === null)
  return kept.length === 0 || search === '' ? '' : `?${kept.join('&')}`
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
