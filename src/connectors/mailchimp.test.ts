import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { cut, harness, reply } from '#testing/index.ts'
import { mailchimp } from './mailchimp.ts'
import { appWith, essence, standIn } from './stand-in.fixture.ts'

const key = 'canary5f3759df-us21'
const member = { id: 'm1', email_address: 'a@b.test', status: 'subscribed' }
const audience = { id: 'l1', name: 'News' }
const campaign = { id: 'c1', type: 'regular', status: 'save' }
const batch = { id: 'b1', status: 'pending' }

/** What we use of their SDK, which is not written in TypeScript. */
type Sdk = Readonly<
  Record<
    'ping' | 'lists' | 'campaigns' | 'batches',
    Readonly<Record<string, (...given: readonly unknown[]) => Promise<unknown>>>
  >
> & {
  setConfig(config: { apiKey: string; server: string }): void
  basePath: string
}

test('sends what Mailchimp’s own SDK sends', async (t) => {
  const api = await standIn(t)
  const m = mailchimp({ key: secret('MAILCHIMP_KEY'), server: 'us21', baseUrl: `${api.origin}/3.0` })
  const app = await appWith(t, [m], { MAILCHIMP_KEY: key })
  const theirs = createRequire(import.meta.url)('@mailchimp/mailchimp_marketing') as Sdk
  theirs.setConfig({ apiKey: key, server: 'us21' })
  theirs.basePath = `${api.origin}/3.0`
  const { lists, campaigns, batches, ping } = theirs
  const page = (name: string, item: object) => ({ [name]: [item], total_items: 1 })
  const add = { email_address: 'a@b.test', status: 'pending', merge_fields: { FNAME: 'Ada' } } as const
  const put = { email_address: 'a@b.test', status_if_new: 'pending' } as const
  const cases: readonly (readonly [unknown, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [{ health_status: 'Everything’s Chimpy!' }, () => ping['get']!(), () => app.call(m.ping, undefined)],
    [
      page('lists', audience),
      () => lists['getAllLists']!({ count: 5, fields: ['lists.id', 'lists.name', 'total_items'] }),
      () => app.call(m.listAudiences, { count: 5, fields: ['lists.id', 'lists.name', 'total_items'] }),
    ],
    [
      page('members', member),
      () => lists['getListMembersInfo']!('l1', { status: 'subscribed', count: 10 }),
      () => app.call(m.listMembers, { list_id: 'l1', status: 'subscribed', count: 10 }),
    ],
    [
      member,
      () => lists['getListMember']!('l1', 'a+b@c.test'),
      () => app.call(m.getMember, { list_id: 'l1', member: 'a+b@c.test' }),
    ],
    [member, () => lists['addListMember']!('l1', add), () => app.call(m.addMember, { list_id: 'l1', ...add })],
    [
      member,
      () => lists['setListMember']!('l1', 'm1', put),
      () => app.call(m.putMember, { list_id: 'l1', member: 'm1', ...put }),
    ],
    [
      member,
      () => lists['updateListMember']!('l1', 'm1', { status: 'unsubscribed' }),
      () => app.call(m.updateMember, { list_id: 'l1', member: 'm1', status: 'unsubscribed' }),
    ],
    [
      undefined,
      () => lists['deleteListMember']!('l1', 'm1'),
      () => app.call(m.archiveMember, { list_id: 'l1', member: 'm1' }),
    ],
    [
      undefined,
      () => lists['updateListMemberTags']!('l1', 'm1', { tags: [{ name: 'vip', status: 'active' }] }),
      () => app.call(m.setTags, { list_id: 'l1', member: 'm1', tags: [{ name: 'vip', status: 'active' }] }),
    ],
    [
      page('campaigns', campaign),
      () => campaigns['list']!({ status: 'sent' }),
      () => app.call(m.listCampaigns, { status: 'sent' }),
    ],
    [
      campaign,
      () => campaigns['create']!({ type: 'regular', recipients: { list_id: 'l1' } }),
      () => app.call(m.createCampaign, { type: 'regular', recipients: { list_id: 'l1' } }),
    ],
    [
      batch,
      () => batches['start']!({ operations: [{ method: 'GET', path: '/ping' }] }),
      () => app.call(m.startBatch, { operations: [{ method: 'GET', path: '/ping' }] }),
    ],
  ]
  for (const [body, sdkCall, ours] of cases) {
    api.answer = () => (body === undefined ? { status: 204 } : { body })
    await sdkCall()
    await ours()
    const [first, second] = api.seen.splice(0)
    // The user of Basic is anything: only the key counts.
    const keyOf = (header: string | undefined): string | undefined =>
      Buffer.from(header?.slice(6) ?? '', 'base64')
        .toString()
        .split(':')[1]
    assert.deepEqual(essence(second, []), essence(first, []))
    assert.deepEqual([keyOf(first?.headers['authorization']), keyOf(second?.headers['authorization'])], [key, key])
  }
})

test('walks members by offset until a page is empty', async () => {
  const m = mailchimp({ key: secret('MAILCHIMP_KEY'), server: 'us21' })
  await using t = await harness({ use: [m] })
  const page = (...ids: readonly string[]) => ({ total_items: 3, members: ids.map((id) => ({ ...member, id })) })
  t.answer(m.listMembers, page('1', '2'), page('3'), page())
  const ids: string[] = []
  for await (const found of t.app.each(m.listMembers, { list_id: 'l1', count: 2 })) ids.push(found.id)
  assert.deepEqual(ids, ['1', '2', '3'])
  assert.deepEqual(
    t.called(m.listMembers).map((c) => c['offset']),
    ['0', '2', '3'],
  )
})

test('a member whose answer is lost is looked for, one that is there is a conflict', async () => {
  const m = mailchimp({ key: secret('MAILCHIMP_KEY'), server: 'us21' })
  await using t = await harness({ use: [m] })
  const add = { list_id: 'l1', email_address: 'a@b.test', status: 'pending' } as const
  t.answer(m.addMember, cut)
  t.answer(m.getMember, member)
  const added = t.call(m.addMember, add)
  await t.advance('1m')
  assert.equal((await added).id, 'm1')
  assert.equal(t.called(m.addMember).length, 1)
  t.answer(m.addMember, reply(400, { title: 'Member Exists', status: 400 }))
  await assert.rejects(t.call(m.addMember, add), (e) => isFault(e, 'connection.conflict'))
  t.answer(m.addMember, reply(400, { title: 'Invalid Resource', status: 400 }))
  await assert.rejects(t.call(m.addMember, add), (e) => isFault(e, 'connection.rejected'))
})
