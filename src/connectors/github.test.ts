import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Octokit } from '@octokit/rest'
import { isFault } from '#kernel/fault.ts'
import { secret } from '#kernel/secret.ts'
import { harness, reply } from '#testing/index.ts'
import { github } from './github.ts'
import { appWith, essence, standIn } from './stand-in.fixture.ts'

const token = 'github_pat_canary_5f3759df'
const user = { id: 1, login: 'ada' }
const issue = {
  id: 10,
  number: 7,
  title: 'Broken',
  state: 'open',
  user,
  body: null,
  updated_at: '2026-01-01T00:00:00Z',
}
const ref = { ref: 'main', sha: 'abc' }
const pull = { id: 11, number: 8, title: 'Mend', state: 'open', head: ref, base: ref }
const hook = { id: 12, active: true, events: ['push'], config: { url: 'https://example.test' } }
const release = { id: 13, tag_name: 'v1', draft: false, prerelease: false }
const at = { owner: 'acme', repo: 'shop' }

test('sends what GitHub’s own SDK sends', async (t) => {
  const api = await standIn(t)
  const g = github({ token: secret('GITHUB_TOKEN'), baseUrl: api.origin })
  const app = await appWith(t, [g], { GITHUB_TOKEN: token })
  const sdk = new Octokit({ auth: token, baseUrl: api.origin }).rest
  const cases: readonly (readonly [unknown, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [user, () => sdk.users.getAuthenticated(), () => app.call(g.getUser, undefined)],
    [
      [issue],
      () => sdk.issues.listForRepo({ ...at, state: 'open', labels: 'a,b', per_page: 5 }),
      () => app.call(g.listIssues, { ...at, state: 'open', labels: 'a,b', per_page: 5 }),
    ],
    [issue, () => sdk.issues.get({ ...at, issue_number: 7 }), () => app.call(g.getIssue, { ...at, issue_number: 7 })],
    [
      issue,
      () => sdk.issues.create({ ...at, title: 'Broken', labels: ['bug'] }),
      () => app.call(g.createIssue, { ...at, title: 'Broken', labels: ['bug'] }),
    ],
    [
      issue,
      () => sdk.issues.update({ ...at, issue_number: 7, state: 'closed' }),
      () => app.call(g.updateIssue, { ...at, issue_number: 7, state: 'closed' }),
    ],
    [
      [{ name: 'bug', color: 'f00' }],
      () => sdk.issues.addLabels({ ...at, issue_number: 7, labels: ['bug'] }),
      () => app.call(g.addLabels, { ...at, issue_number: 7, labels: ['bug'] }),
    ],
    [
      { id: 1, user, updated_at: 'x' },
      () => sdk.issues.createComment({ ...at, issue_number: 7, body: 'hm' }),
      () => app.call(g.createComment, { ...at, issue_number: 7, body: 'hm' }),
    ],
    [
      { total_count: 1, items: [issue] },
      () => sdk.search.issuesAndPullRequests({ q: 'repo:acme/shop is:open' }),
      () => app.call(g.searchIssues, { q: 'repo:acme/shop is:open' }),
    ],
    [[pull], () => sdk.pulls.list({ ...at, state: 'all' }), () => app.call(g.listPulls, { ...at, state: 'all' })],
    [
      pull,
      () => sdk.pulls.create({ ...at, title: 'Mend', head: 'a', base: 'main' }),
      () => app.call(g.createPull, { ...at, title: 'Mend', head: 'a', base: 'main' }),
    ],
    [
      { sha: 'abc', merged: true },
      () => sdk.pulls.merge({ ...at, pull_number: 8, sha: 'abc', merge_method: 'squash' }),
      () => app.call(g.mergePull, { ...at, pull_number: 8, sha: 'abc', merge_method: 'squash' }),
    ],
    [
      { sha: 'abc', commit: { message: 'x' } },
      () => sdk.repos.getCommit({ ...at, ref: 'heads/main' }),
      () => app.call(g.getCommit, { ...at, ref: 'heads/main' }),
    ],
    [
      { id: 1, state: 'success', context: 'ci' },
      () => sdk.repos.createCommitStatus({ ...at, sha: 'abc', state: 'success', context: 'ci' }),
      () => app.call(g.createStatus, { ...at, sha: 'abc', state: 'success', context: 'ci' }),
    ],
    [
      release,
      () => sdk.repos.createRelease({ ...at, tag_name: 'v1' }),
      () => app.call(g.createRelease, { ...at, tag_name: 'v1' }),
    ],
    [
      undefined,
      () => sdk.actions.createWorkflowDispatch({ ...at, workflow_id: 'ci.yml', ref: 'main', inputs: { a: 'b' } }),
      () => app.call(g.dispatchWorkflow, { ...at, workflow_id: 'ci.yml', ref: 'main', inputs: { a: 'b' } }),
    ],
    [
      hook,
      () =>
        sdk.repos.createWebhook({
          ...at,
          events: ['push'],
          config: { url: 'https://example.test', content_type: 'json', secret: 's' },
        }),
      () =>
        app.call(g.createHook, {
          ...at,
          events: ['push'],
          config: { url: 'https://example.test', content_type: 'json', secret: 's' },
        }),
    ],
    [
      [{ id: 1, guid: 'g', event: 'push', status_code: 200, redelivery: false }],
      () => sdk.repos.listWebhookDeliveries({ ...at, hook_id: 12, per_page: 2 }),
      () => app.call(g.listDeliveries, { ...at, hook_id: 12, per_page: 2 }),
    ],
    [
      {},
      () => sdk.repos.redeliverWebhookDelivery({ ...at, hook_id: 12, delivery_id: 3 }),
      () => app.call(g.redeliver, { ...at, hook_id: 12, delivery_id: 3 }),
    ],
  ]
  for (const [body, theirs, ours] of cases) {
    api.answer = () => (body === undefined ? { status: 204 } : { body })
    await theirs()
    await ours()
    const [first, second] = api.seen.splice(0)
    assert.deepEqual(essence(second, []), essence(first, []))
    assert.equal(second?.headers['authorization'], `Bearer ${token}`)
    assert.equal(second?.headers['accept'], 'application/vnd.github+json')
  }
})

test('follows the Link field, and nowhere else', async (t) => {
  const api = await standIn(t)
  const g = github({ token: secret('GITHUB_TOKEN'), baseUrl: api.origin })
  const app = await appWith(t, [g], { GITHUB_TOKEN: token })
  api.answer = ({ query }) => {
    const n = Number(query.find((q) => q.startsWith('page='))?.slice(5) ?? 1)
    const next = `<${api.origin}/repositories/1/issues?state=open&page=${n + 1}>; rel="next", <${api.origin}/x?page=3>; rel="last"`
    return { headers: n < 3 ? { link: next } : {}, body: [{ ...issue, number: n }] }
  }
  const numbers: number[] = []
  for await (const found of app.each(g.listIssues, { ...at, state: 'open' })) numbers.push(found.number)
  assert.deepEqual(numbers, [1, 2, 3])
  api.answer = () => ({ headers: { link: '<https://elsewhere.test/x?page=2>; rel="next"' }, body: [issue] })
  await assert.rejects(
    async () => {
      for await (const _ of app.each(g.listIssues, { ...at, state: 'open' })) {
        // Until it would leave.
      }
    },
    (e) => isFault(e, 'connection.pages'),
  )
})

test('takes a used-up limit for a limit, a missing right for a missing right', async () => {
  const g = github({ token: secret('GITHUB_TOKEN') })
  await using t = await harness({ use: [g] })
  const now = t.clock.now()
  const limited = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.ceil(now / 1_000) + 20) }
  t.answer(g.getUser, reply(403, { message: 'API rate limit exceeded' }, limited), user)
  const done = t.call(g.getUser, undefined)
  await t.advance('19s')
  assert.equal(t.called(g.getUser).length, 1)
  await t.advance('10s')
  assert.deepEqual(await done, user)
  t.answer(
    g.getUser,
    reply(403, { message: 'Resource not accessible by integration' }, { 'x-ratelimit-remaining': '4000' }),
  )
  await assert.rejects(t.call(g.getUser, undefined), (e) => isFault(e, 'connection.forbidden'))
})

test('an issue whose answer is lost is not created twice', async () => {
  const g = github({ token: secret('GITHUB_TOKEN') })
  await using t = await harness({ use: [g] })
  t.answer(g.createIssue, reply(502))
  await assert.rejects(t.call(g.createIssue, { ...at, title: 'x' }), (e) => isFault(e, 'connection.unverified'))
  assert.equal(t.called(g.createIssue).length, 1)
})
