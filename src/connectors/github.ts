/**
 * GitHub, the REST API: repositories, issues, comments, pull requests, commits, releases, workflows, hooks.
 *
 * Contract-tested: the requests are those of GitHub's own SDK (npm `@octokit/rest`).
 * Sources: docs.github.com/en/rest, /rest/using-the-rest-api/rate-limits-for-the-rest-api, /best-practices-for-using-the-rest-api.
 */
import * as z from 'zod'
import type { Secret } from '#kernel/secret.ts'
import type { Rule } from '#patterns/connections/answers/classify.ts'
import { bearer } from '#patterns/connections/auth/bearer.ts'
import { connection, type ConnectionOptions } from '#patterns/connections/define.ts'

export type GitHubOptions = {
  /** A fine-grained personal token, or an installation token that something else renews. */
  readonly token: Secret
  /** Name of the connection. Default `github`. */
  readonly name?: string
  /** Pinned in every request. Default `2022-11-28`. */
  readonly version?: string
  /** Default 5,000 an hour and 60 a minute, which stays below the secondary limit of 80 requests a minute that create content. */
  readonly limit?: ConnectionOptions['limit']
  /** `https://HOST/api/v3` of an Enterprise server. */
  readonly baseUrl?: string
}

const repo = { owner: z.string().min(1), repo: z.string().min(1) }
const number = z.number().int().positive()
const page = { per_page: z.number().int().min(1).max(100).optional() }
const state = z.enum(['open', 'closed', 'all']).optional()
const direction = z.enum(['asc', 'desc']).optional()
const since = z.iso.datetime({ offset: true }).optional()

const User = z.looseObject({ id: z.number(), login: z.string() })
const Repository = z.looseObject({
  id: z.number(),
  full_name: z.string(),
  private: z.boolean(),
  default_branch: z.string(),
})
/** A pull request is an issue with `pull_request`. */
const Issue = z.looseObject({
  id: z.number(),
  number: z.number(),
  title: z.string(),
  state: z.string(),
  user: User.nullable(),
  body: z.string().nullish(),
  updated_at: z.string(),
  pull_request: z.looseObject({}).optional(),
})
const Comment = z.looseObject({
  id: z.number(),
  body: z.string().optional(),
  user: User.nullable(),
  updated_at: z.string(),
})
const Pull = z.looseObject({
  id: z.number(),
  number: z.number(),
  title: z.string(),
  state: z.string(),
  draft: z.boolean().optional(),
  merged: z.boolean().optional(),
  head: z.looseObject({ ref: z.string(), sha: z.string() }),
  base: z.looseObject({ ref: z.string(), sha: z.string() }),
})
const Commit = z.looseObject({ sha: z.string(), commit: z.looseObject({ message: z.string() }) })
const Release = z.looseObject({ id: z.number(), tag_name: z.string(), draft: z.boolean(), prerelease: z.boolean() })
const Hook = z.looseObject({
  id: z.number(),
  active: z.boolean(),
  events: z.array(z.string()),
  config: z.looseObject({ url: z.string().optional() }),
})
const Delivery = z.looseObject({
  id: z.number(),
  guid: z.string(),
  event: z.string(),
  status_code: z.number(),
  redelivery: z.boolean(),
})
const Label = z.looseObject({ name: z.string(), color: z.string() })

/** The Link field leads to the next page. */
const paged = 'link'

/** A used-up limit is answered 403 or 429 with nothing remaining; the secondary ones with Retry-After, which needs no rule. */
const rules: readonly Rule[] = [
  { status: [403, 429], header: { name: 'x-ratelimit-remaining', value: '0' }, means: 'throttled' },
  {
    status: 403,
    body: (b) => /secondary rate limit|abuse detection/i.test(String((b as { message?: unknown }).message)),
    means: 'throttled',
  },
  { status: 405, means: 'conflict' },
]

/**
 * GitHub as a connection. GitHub knows no idempotency keys: what creates (an issue, a comment) is not repeated when its answer is lost;
 * the message is parked for a person, or give the operation a `verify` of your own.
 *
 * @example
 * export const code = github({ token: secret('GITHUB_TOKEN') })
 * for await (const issue of ctx.each(code.listIssues, { owner: 'acme', repo: 'shop', state: 'open' })) { … }
 */
export function github(options: GitHubOptions) {
  const {
    token,
    name = 'github',
    version = '2022-11-28',
    limit = ['5000/h', '60/m'],
    baseUrl = 'https://api.github.com',
  } = options
  return connection(name, {
    baseUrl,
    auth: bearer(token),
    headers: { accept: 'application/vnd.github+json', 'x-github-api-version': version },
    limit,
    rules,
    operations: {
      getUser: { http: 'GET /user', output: User },
      getRepository: { http: 'GET /repos/:owner/:repo', input: z.object(repo), output: Repository },
      listRepositories: {
        http: 'GET /orgs/:org/repos',
        pages: paged,
        input: z.object({ org: z.string(), type: z.string().optional(), ...page }),
        output: z.array(Repository),
      },

      listIssues: {
        http: 'GET /repos/:owner/:repo/issues',
        pages: paged,
        input: z.object({
          ...repo,
          state,
          labels: z.string().optional(),
          since,
          sort: z.enum(['created', 'updated', 'comments']).optional(),
          direction,
          ...page,
        }),
        output: z.array(Issue),
      },
      getIssue: {
        http: 'GET /repos/:owner/:repo/issues/:issue_number',
        input: z.object({ ...repo, issue_number: number }),
        output: Issue,
      },
      createIssue: {
        http: 'POST /repos/:owner/:repo/issues',
        input: z.object({
          ...repo,
          title: z.string().min(1),
          body: z.string().optional(),
          labels: z.array(z.string()).optional(),
          assignees: z.array(z.string()).optional(),
          milestone: z.number().nullable().optional(),
        }),
        output: Issue,
      },
      updateIssue: {
        http: 'PATCH /repos/:owner/:repo/issues/:issue_number',
        idempotent: 'natural',
        input: z.object({
          ...repo,
          issue_number: number,
          title: z.string().optional(),
          body: z.string().optional(),
          state: z.enum(['open', 'closed']).optional(),
          labels: z.array(z.string()).optional(),
        }),
        output: Issue,
      },
      addLabels: {
        http: 'POST /repos/:owner/:repo/issues/:issue_number/labels',
        idempotent: 'natural',
        input: z.object({ ...repo, issue_number: number, labels: z.array(z.string()).min(1) }),
        output: z.array(Label),
      },
      listComments: {
        http: 'GET /repos/:owner/:repo/issues/:issue_number/comments',
        pages: paged,
        input: z.object({ ...repo, issue_number: number, since, ...page }),
        output: z.array(Comment),
      },
      createComment: {
        http: 'POST /repos/:owner/:repo/issues/:issue_number/comments',
        input: z.object({ ...repo, issue_number: number, body: z.string().min(1) }),
        output: Comment,
      },
      searchIssues: {
        http: 'GET /search/issues',
        pages: { style: 'link', items: 'items' },
        input: z.object({ q: z.string(), sort: z.string().optional(), order: direction, ...page }),
        output: z.looseObject({ total_count: z.number(), items: z.array(Issue) }),
      },

      listPulls: {
        http: 'GET /repos/:owner/:repo/pulls',
        pages: paged,
        input: z.object({
          ...repo,
          state,
          head: z.string().optional(),
          base: z.string().optional(),
          sort: z.string().optional(),
          direction,
          ...page,
        }),
        output: z.array(Pull),
      },
      getPull: {
        http: 'GET /repos/:owner/:repo/pulls/:pull_number',
        input: z.object({ ...repo, pull_number: number }),
        output: Pull,
      },
      createPull: {
        http: 'POST /repos/:owner/:repo/pulls',
        input: z.object({
          ...repo,
          title: z.string(),
          head: z.string(),
          base: z.string(),
          body: z.string().optional(),
          draft: z.boolean().optional(),
        }),
        output: Pull,
      },
      /** With `sha` a second merge is refused: give it. */
      mergePull: {
        http: 'PUT /repos/:owner/:repo/pulls/:pull_number/merge',
        input: z.object({
          ...repo,
          pull_number: number,
          sha: z.string().optional(),
          merge_method: z.enum(['merge', 'squash', 'rebase']).optional(),
          commit_title: z.string().optional(),
        }),
        output: z.looseObject({ sha: z.string(), merged: z.boolean() }),
      },

      listCommits: {
        http: 'GET /repos/:owner/:repo/commits',
        pages: paged,
        input: z.object({
          ...repo,
          sha: z.string().optional(),
          path: z.string().optional(),
          since,
          until: since,
          ...page,
        }),
        output: z.array(Commit),
      },
      getCommit: {
        http: 'GET /repos/:owner/:repo/commits/:ref',
        input: z.object({ ...repo, ref: z.string() }),
        output: Commit,
      },
      /** By `context`: the last one counts, so it may be repeated. */
      createStatus: {
        http: 'POST /repos/:owner/:repo/statuses/:sha',
        idempotent: 'natural',
        input: z.object({
          ...repo,
          sha: z.string(),
          state: z.enum(['error', 'failure', 'pending', 'success']),
          context: z.string().optional(),
          description: z.string().max(140).optional(),
          target_url: z.string().optional(),
        }),
        output: z.looseObject({ id: z.number(), state: z.string(), context: z.string() }),
      },

      listReleases: {
        http: 'GET /repos/:owner/:repo/releases',
        pages: paged,
        input: z.object({ ...repo, ...page }),
        output: z.array(Release),
      },
      createRelease: {
        http: 'POST /repos/:owner/:repo/releases',
        input: z.object({
          ...repo,
          tag_name: z.string(),
          target_commitish: z.string().optional(),
          name: z.string().optional(),
          body: z.string().optional(),
          draft: z.boolean().optional(),
          prerelease: z.boolean().optional(),
        }),
        output: Release,
      },
      dispatchWorkflow: {
        http: 'POST /repos/:owner/:repo/actions/workflows/:workflow_id/dispatches',
        input: z.object({
          ...repo,
          workflow_id: z.union([z.string(), z.number()]),
          ref: z.string(),
          inputs: z.record(z.string(), z.string()).optional(),
        }),
      },

      listHooks: {
        http: 'GET /repos/:owner/:repo/hooks',
        pages: paged,
        input: z.object({ ...repo, ...page }),
        output: z.array(Hook),
      },
      createHook: {
        http: 'POST /repos/:owner/:repo/hooks',
        input: z.object({
          ...repo,
          name: z.literal('web').optional(),
          active: z.boolean().optional(),
          events: z.array(z.string()).optional(),
          config: z.object({
            url: z.string(),
            content_type: z.enum(['json', 'form']).optional(),
            secret: z.string().optional(),
          }),
        }),
        output: Hook,
      },
      /** What a hook has sent in the last days, and whether we took it. */
      listDeliveries: {
        http: 'GET /repos/:owner/:repo/hooks/:hook_id/deliveries',
        pages: paged,
        input: z.object({ ...repo, hook_id: z.number(), ...page }),
        output: z.array(Delivery),
      },
      redeliver: {
        http: 'POST /repos/:owner/:repo/hooks/:hook_id/deliveries/:delivery_id/attempts',
        idempotent: 'natural',
        input: z.object({ ...repo, hook_id: z.number(), delivery_id: z.number() }),
      },
    },
  })
}
