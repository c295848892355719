import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogLevel, WebClient } from '@slack/web-api'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { harness, reply } from '#testing/index.ts'
import { slack } from './slack.ts'
import { appWith, standIn, type Seen } from './stand-in.fixture.ts'

const token = 'xoxb-canary-5f3759df'
const channel = 'C123'
const ts = '1700000000.000100'
const blocks = [{ type: 'section', text: { type: 'mrkdwn', text: '*Hi* & <b>' } }]
const ok = { ok: true }
const some = {
  ...ok,
  channel: { id: channel },
  ts,
  message_ts: ts,
  scheduled_message_id: 'Q1',
  permalink: 'https://x.test',
  user: { id: 'U1' },
  channels: [],
  members: [],
  messages: [],
  team_id: 'T1',
  user_id: 'U1',
}

/** The SDK sends forms, with what is no text as JSON; we send forms and JSON. What counts is what the fields say. */
function said({ path, body, headers }: Seen): object {
  const fields: readonly (readonly [string, unknown])[] = Array.isArray(body)
    ? (body as string[]).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)])
    : Object.entries(body ?? {})
  const texts = fields.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)])
  return {
    path,
    fields: texts.toSorted(([a], [b]) => String(a).localeCompare(String(b))),
    authorization: headers['authorization'],
  }
}

test('says what Slack’s own SDK says', async (t) => {
  const api = await standIn(t)
  const s = slack({ token: secret('SLACK_TOKEN'), baseUrl: `${api.origin}/api` })
  const app = await appWith(t, [s], { SLACK_TOKEN: token })
  const sdk = new WebClient(token, {
    slackApiUrl: `${api.origin}/api/`,
    retryConfig: { retries: 0 },
    logLevel: LogLevel.ERROR,
  })
  const cases: readonly (readonly [() => Promise<unknown>, () => Promise<unknown>])[] = [
    [() => sdk.auth.test(), () => app.call(s.authTest, undefined)],
    [
      () => sdk.chat.postMessage({ channel, text: 'Hi', blocks, unfurl_links: false }),
      () => app.call(s.postMessage, { channel, text: 'Hi', blocks, unfurl_links: false }),
    ],
    [
      () => sdk.chat.postEphemeral({ channel, user: 'U1', text: 'Hi' }),
      () => app.call(s.postEphemeral, { channel, user: 'U1', text: 'Hi' }),
    ],
    [() => sdk.chat.update({ channel, ts, text: 'Ho' }), () => app.call(s.updateMessage, { channel, ts, text: 'Ho' })],
    [() => sdk.chat.delete({ channel, ts }), () => app.call(s.deleteMessage, { channel, ts })],
    [
      () => sdk.chat.scheduleMessage({ channel, post_at: 1_800_000_000, text: 'later' }),
      () => app.call(s.scheduleMessage, { channel, post_at: 1_800_000_000, text: 'later' }),
    ],
    [
      () => sdk.conversations.list({ types: 'public_channel,private_channel', limit: 5, exclude_archived: true }),
      () =>
        app.call(s.listConversations, { types: 'public_channel,private_channel', limit: 5, exclude_archived: true }),
    ],
    [
      () => sdk.conversations.history({ channel, oldest: ts, limit: 2 }),
      () => app.call(s.listMessages, { channel, oldest: ts, limit: 2 }),
    ],
    [() => sdk.conversations.replies({ channel, ts }), () => app.call(s.listReplies, { channel, ts })],
    [() => sdk.conversations.members({ channel }), () => app.call(s.listMembers, { channel })],
    [
      () => sdk.conversations.create({ name: 'ops', is_private: true }),
      () => app.call(s.createConversation, { name: 'ops', is_private: true }),
    ],
    [
      () => sdk.users.lookupByEmail({ email: 'a+b@example.test' }),
      () => app.call(s.findUserByEmail, { email: 'a+b@example.test' }),
    ],
    [
      () => sdk.reactions.add({ channel, timestamp: ts, name: 'eyes' }),
      () => app.call(s.addReaction, { channel, timestamp: ts, name: 'eyes' }),
    ],
  ]
  for (const [theirs, ours] of cases) {
    api.answer = ({ path }) => ({
      body: path.endsWith('postMessage') || path.endsWith('update') ? { ...some, channel } : some,
    })
    await theirs()
    await ours()
    const [first, second] = api.seen.splice(0)
    assert.deepEqual(said(second!), said(first!))
  }
})

test('an error inside a 200 is what it says', async () => {
  const s = slack({ token: secret('SLACK_TOKEN') })
  await using t = await harness({ use: [s] })
  const post = { channel, text: 'Hi' }
  for (const [word, code] of [
    ['channel_not_found', 'connection.not_found'],
    ['invalid_auth', 'connection.credential'],
    ['missing_scope', 'connection.forbidden'],
    ['invalid_blocks', 'connection.rejected'],
    ['fatal_error', 'connection.unverified'],
  ] as const) {
    t.answer(s.postMessage, { ok: false, error: word })
    const before = t.called(s.postMessage).length
    await assert.rejects(t.call(s.postMessage, post), (e) => isFault(e, code), word)
    assert.equal(t.called(s.postMessage).length, before + 1, word)
  }
  t.answer(s.postMessage, reply(429, { ok: false, error: 'ratelimited' }, { 'retry-after': '20' }), {
    ok: true,
    channel,
    ts,
  })
  const done = t.call(s.postMessage, post)
  await t.advance('19s')
  await t.advance('5s')
  assert.equal((await done).ts, ts)
})

test('walks a list until the cursor is empty', async () => {
  const s = slack({ token: secret('SLACK_TOKEN') })
  await using t = await harness({ use: [s] })
  const pageOf = (ids: readonly string[], next: string) => ({
    ok: true,
    members: ids.map((id) => ({ id })),
    response_metadata: { next_cursor: next },
  })
  t.answer(s.listUsers, pageOf(['U1', 'U2'], 'dXNlcjpVMg=='), pageOf(['U3'], ''))
  const ids: string[] = []
  for await (const user of t.app.each(s.listUsers, { limit: 2 })) ids.push(user.id)
  assert.deepEqual(ids, ['U1', 'U2', 'U3'])
  assert.equal(t.called(s.listUsers)[1]?.['cursor'], 'dXNlcjpVMg==')
})
