import type { EachOptions } from '#kernel/context.ts'
import { credentialQuery } from '../auth/auth.ts'
import { OneCall, type CallOptions } from '../call.ts'
import type { Ready } from '../operation.ts'
import type { Shared } from '../run.ts'
import { pager, type PageStep } from './paging.ts'
import { markOf, readMark, walked } from './resume.ts'

export type WalkOptions = CallOptions & Pick<EachOptions, 'resume' | 'onPage'>

/**
 * The items of a list, page after page; the next page is asked for when the items of the last one are used up. `onPage` is told of
 * a page when that has happened, and waited for: a walk that breaks before goes on with that page, so items may come again and are
 * never left out.
 */
export async function* walkPages(
  shared: Shared,
  ready: Ready,
  input: unknown,
  options: WalkOptions,
): AsyncGenerator<unknown, void> {
  const { redact } = shared.deps.runtime
  const pages = pager(ready.spec.pages, shared.origin, credentialQuery(shared.definition.auth))
  // Each page is another request: the caller's key would make the second page a repetition of the first.
  const { key: _key, resume, onPage, ...rest } = options
  const each: CallOptions = { ...rest, direct: true }
  const kept = resume !== undefined && resume !== null
  const of =
    kept || onPage ? walked(`${ready.connection}.${ready.name}`, ready.spec.http, shared.origin, input) : undefined
  let page = 0
  let step: PageStep | undefined
  if (kept) {
    const mark = readMark(of!, resume)
    page = mark.page
    step = pages.resume(mark)
  } else step = pages.first(input)
  while (step !== undefined) {
    const call = new OneCall(shared, ready, input, each, step)
    await call.run()
    const { output, body, response, path } = call.answer!
    const items = pages.items(output)
    yield* items
    step = pages.after({ body, headers: response.headers, items, raw: response.body, path })
    page++
    if (!onPage) continue
    const mark = step && markOf(of!, page, pages.at(step), (text) => redact.knows(text))
    if ((await onPage({ resume: mark, page, items })) === false) return
  }
}
