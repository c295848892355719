import type { Log } from '#kernel/log.ts'
import type { Session } from './session.ts'

/**
 * Rows have no checksum of ours here: the server checks its pages, and says `store.corrupt` where one is damaged. Without that (before
 * version 18 it is off unless it was asked for) a damaged page is served as it is: said once, when the store is opened (decision 0014).
 */
export async function warnOfPages(session: Pick<Session, 'query'>, log: Log): Promise<void> {
  const [[checksums]] = (await session.query('show data_checksums')) as [[string]]
  if (checksums === 'on') return
  log.write('warn', 'store.pages_unchecked', {
    help: 'This PostgreSQL has no checksums of its pages (data_checksums): a damaged one is served as if it were good. Turn them on: stop the server, pg_checksums --enable.',
  })
}
