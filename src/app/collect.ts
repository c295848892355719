import { isDefinition, type Definition, type Problem } from '#kernel/definition.ts'
import { fault, isFault, type Fault } from '#kernel/fault.ts'
import type { Files } from '#kernel/runtime.ts'
import { isSecret } from '#kernel/secret.ts'
import { checkConnection } from '#patterns/connections/check/connection.ts'
import { invalidationsOf } from '#patterns/connections/cache/define.ts'
import { operationsOf, type ConnectionDefinition, type OperationSpec } from '#patterns/connections/define.ts'
import { isOperation, type FallbackStep } from '#patterns/connections/fallback/fallback.ts'
import { laterTopic } from '#patterns/connections/later/later.ts'
import { checkMapping, loadMapping, type Mapping } from '#patterns/mappings/define.ts'
import { checkTopic, type AnyTopic } from '#patterns/topics/define.ts'
import { checkSubscription, type Subscription } from '#patterns/topics/subscription.ts'
import { checkWebhook } from '#patterns/webhooks/check.ts'
import type { Webhook } from '#patterns/webhooks/define.ts'

/** Definitions, and module namespaces or arrays of them; other exports of a module are ignored. */
export type Use = readonly unknown[]

export type Definitions = {
  readonly connections: ReadonlyMap<string, ConnectionDefinition>
  readonly topics: ReadonlyMap<string, AnyTopic>
  readonly subscriptions: ReadonlyMap<string, Subscription>
  readonly webhooks: ReadonlyMap<string, Webhook>
  readonly mappings: ReadonlyMap<string, Mapping>
  readonly secrets: ReadonlySet<string>
}

/**
 * Finds the definitions in `use` and checks all of them, each alone and all together. Every problem is reported, not the
 * first: `config.invalid` with `detail.problems`, each with path, message and fix.
 */
export function collect(use: Use): { readonly definitions: Definitions; readonly problems: readonly Problem[] } {
  const problems: Problem[] = []
  const found = new Set<Definition>()
  if (!Array.isArray(use)) problems.push({ path: 'use', message: 'is not a list', fix: 'pass use: [orders, payments]' })
  else use.forEach((value, i) => gather(value, `use[${i}]`, found, problems))

  const kinds = {
    connection: new Map(),
    topic: new Map(),
    subscription: new Map(),
    webhook: new Map(),
    mapping: new Map(),
  } as const
  for (const d of found) {
    const known: Map<string, unknown> = kinds[d.kind]
    if (known.has(d.name))
      problems.push({
        path: `${d.kind}(${d.name})`,
        message: 'is defined twice',
        fix: 'names are durable addresses: rename one of them',
      })
    known.set(d.name, d)
    problems.push(...check(d))
  }
  const definitions: Definitions = {
    connections: kinds.connection,
    topics: kinds.topic,
    subscriptions: kinds.subscription,
    webhooks: kinds.webhook,
    mappings: kinds.mapping,
    secrets: secretsOf(found),
  }
  problems.push(...together(definitions))
  return { definitions, problems }
}

/** As `collect`, after reading the documents that mappings name: a missing or wrong one is a problem like the others. */
export async function collectWithDocuments(use: Use, files: Files): Promise<ReturnType<typeof collect>> {
  const unread: Problem[] = []
  for (const mapping of collect(use).definitions.mappings.values()) {
    try {
      await loadMapping(mapping, files)
    } catch (e) {
      const message = isFault(e) ? e.message : 'the document cannot be read'
      unread.push({
        path: `mapping(${mapping.name}).document`,
        message,
        fix: 'correct the path, or the rights of the file',
      })
    }
  }
  const { definitions, problems } = collect(use)
  return { definitions, problems: [...problems, ...unread] }
}

export function configFault(problems: readonly Problem[]): Fault {
  const lines = problems.map((p) => `  ${p.path}: ${p.message}\n    fix: ${p.fix}`)
  return fault('config.invalid', {
    message: `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}; nothing was started\n${lines.join('\n')}`,
    detail: { problems },
  })
}

function gather(value: unknown, path: string, found: Set<Definition>, problems: Problem[]): void {
  if (isDefinition(value)) return void found.add(value)
  if (typeof value !== 'object' || value === null) {
    problems.push({
      path,
      message: 'is neither a definition nor a module',
      fix: 'pass what connection(…), topic(…) … returned, or `import * as orders`',
    })
    return
  }
  const inside = Object.values(value)
    .flatMap((v) => (Array.isArray(v) ? (v as unknown[]) : [v]))
    .filter(isDefinition)
  if (inside.length === 0)
    problems.push({ path, message: 'has no definitions', fix: 'export them from the module, or remove it from `use`' })
  for (const d of inside) found.add(d)
}

function check(d: Definition): readonly Problem[] {
  switch (d.kind) {
    case 'connection':
      return checkConnection(d as ConnectionDefinition)
    case 'topic':
      return checkTopic(d as AnyTopic)
    case 'subscription':
      return checkSubscription(d as Subscription)
    case 'webhook':
      return checkWebhook(d as Webhook)
    case 'mapping':
      return checkMapping(d)
  }
}

/** What no definition can see alone: references to topics that were not passed, two webhooks on one path. */
function together(d: Definitions): Problem[] {
  const problems: Problem[] = []
  const missing = (path: string, topic: { name: string } | undefined): void => {
    if (topic && !d.topics.has(topic.name))
      problems.push({ path, message: `the topic "${topic.name}" was not passed in \`use\``, fix: 'add it to `use`' })
  }
  for (const s of d.subscriptions.values()) missing(`subscription(${s.name}).to`, s.to)
  for (const { name, options } of d.connections.values())
    missing(`connection(${name}).drift.to`, options.drift === false ? undefined : options.drift?.to)
  for (const c of d.connections.values()) {
    const caches = [
      [`connection(${c.name})`, c.options.cache] as const,
      ...operationsOf(c).map((o) => [`connection(${c.name}).operations.${o.name}`, o.spec.cache] as const),
    ]
    for (const [path, cache] of caches)
      for (const { on } of invalidationsOf(cache)) missing(`${path}.cache.invalidate`, on)
  }
  const paths = new Map<string, string>()
  for (const c of d.connections.values()) {
    const { auth } = c.options
    const url = auth?.kind === 'oauth' && auth.grant === 'authorization_code' ? URL.parse(auth.redirectUri) : null
    if (!url) continue
    for (const path of [url.pathname, `${url.pathname}/start`]) {
      const other = paths.get(path)
      const at = `connection(${c.name}).auth.redirectUri`
      if (other !== undefined)
        problems.push({ path: at, message: `${path} is also a path of ${other}`, fix: 'give each a path of its own' })
      paths.set(path, `connection(${c.name})`)
    }
  }
  for (const w of d.webhooks.values()) {
    for (const [type, route] of Object.entries(w.deliver ?? {}))
      missing(`webhook(${w.name}).deliver[${type}]`, 'kind' in route ? route : route.to)
    const other = paths.get(w.path)
    if (other !== undefined)
      problems.push({
        path: `webhook(${w.name}).path`,
        message: `${w.path} is also the path of ${other}`,
        fix: 'give one of them another path',
      })
    paths.set(w.path, `webhook(${w.name})`)
    if (d.topics.has(`webhook.${w.name}`))
      problems.push({
        path: `topic(webhook.${w.name})`,
        message: `is the inbox of webhook(${w.name})`,
        fix: 'rename the topic',
      })
  }
  problems.push(...fallbackCycles(d.connections))
  for (const c of d.connections.values()) {
    for (const { name, spec } of operationsOf(c)) {
      for (const [i, step] of stepsOf(spec).entries()) {
        const path = `connection(${c.name}).operations.${name}.fallback[${i}]`
        if ('later' in step) missing(`${path}.later.deliver`, step.later?.deliver)
        if ('to' in step && isOperation(step.to) && !d.connections.has(step.to.connection))
          problems.push({
            path: `${path}.to`,
            message: `the connection "${step.to.connection}" was not passed in \`use\``,
            fix: 'add it to `use`',
          })
      }
    }
    const name = laterTopic(c.name)
    if (c.options?.later === undefined) continue
    for (const [kind, taken] of [
      ['topic', d.topics],
      ['subscription', d.subscriptions],
    ] as const)
      if (taken.has(name))
        problems.push({
          path: `${kind}(${name})`,
          message: `belongs to connection(${c.name})`,
          fix: `rename the ${kind}`,
        })
  }
  for (const s of d.subscriptions.keys()) {
    if (s.startsWith('webhook.'))
      problems.push({
        path: `subscription(${s})`,
        message: 'names that begin with "webhook." belong to webhooks',
        fix: 'rename the subscription',
      })
  }
  return problems
}

/** The fallbacks of an operation that are worth looking at: what else is wrong with them has been said. */
function stepsOf({ fallback }: OperationSpec): readonly FallbackStep[] {
  const steps: readonly unknown[] = Array.isArray(fallback) ? fallback : []
  return steps.filter((s): s is FallbackStep => typeof s === 'object' && s !== null)
}

/** Fallbacks that lead back to where they began would never end. */
function fallbackCycles(connections: Definitions['connections']): Problem[] {
  const next = new Map<string, readonly string[]>()
  for (const c of connections.values())
    for (const { name, spec } of operationsOf(c))
      next.set(
        `${c.name}.${name}`,
        stepsOf(spec).flatMap((s) => ('to' in s && isOperation(s.to) ? [`${s.to.connection}.${s.to.name}`] : [])),
      )
  const leadsTo = (from: string, end: string, seen: Set<string>): boolean =>
    (next.get(from) ?? []).some((to) => to === end || (!seen.has(to) && leadsTo(to, end, seen.add(to))))
  return [...next.keys()]
    .filter((name) => leadsTo(name, name, new Set()))
    .map((name) => ({
      path: `fallback of ${name}`,
      message: 'leads back to itself',
      fix: 'end the chain in a value, or in an operation without fallback',
    }))
}

function secretsOf(found: ReadonlySet<Definition>): ReadonlySet<string> {
  const names = new Set<string>()
  const walk = (value: unknown, depth: number): void => {
    if (isSecret(value)) return void names.add(value.name)
    if (typeof value !== 'object' || value === null || depth > 8) return
    for (const v of Object.values(value)) walk(v, depth + 1)
  }
  for (const d of found) if (d.kind === 'connection' || d.kind === 'webhook') walk(d, 0)
  return names
}
