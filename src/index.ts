export { fairlead, type App, type Options } from '#app/fairlead.ts'
export { jsonLog } from '#app/log.ts'
export type { Health } from '#app/health.ts'
export type { Operations } from '#app/operations/index.ts'
export type { Status } from '#app/operations/status.ts'
export type { ParkedMessage } from '#app/operations/parked.ts'

export { connection, type Connection } from '#patterns/connections/define.ts'
export type { Auth } from '#patterns/connections/auth/auth.ts'
export { apiKey } from '#patterns/connections/auth/api-key.ts'
export { awsSigV4 } from '#patterns/connections/auth/aws-sig-v4.ts'
export { basic } from '#patterns/connections/auth/basic.ts'
export { bearer } from '#patterns/connections/auth/bearer.ts'
export { hmac } from '#patterns/connections/auth/hmac.ts'
export { authorizationCode, clientCredentials, jwtBearer } from '#patterns/connections/auth/oauth/define.ts'
export { invalidatedBy } from '#patterns/connections/cache/define.ts'
export { instead } from '#patterns/connections/fallback/fallback.ts'
export { relayPages } from '#patterns/connections/protocols/graphql/options.ts'
export { lineage, mapping, type Mapping } from '#patterns/mappings/define.ts'
export { topic, type Topic } from '#patterns/topics/define.ts'
export { subscription, type Subscription } from '#patterns/topics/subscription.ts'
export { webhook, type Webhook } from '#patterns/webhooks/define.ts'
export { githubSignature } from '#patterns/webhooks/signatures/github.ts'
export { hubspotSignature } from '#patterns/webhooks/signatures/hubspot.ts'
export { pagerdutySignature } from '#patterns/webhooks/signatures/pagerduty.ts'
export { shopifySignature } from '#patterns/webhooks/signatures/shopify.ts'
export { slackSignature } from '#patterns/webhooks/signatures/slack.ts'
export { standardWebhooks } from '#patterns/webhooks/signatures/standard-webhooks.ts'
export { stripeSignature } from '#patterns/webhooks/signatures/stripe.ts'
export { xeroSignature } from '#patterns/webhooks/signatures/xero.ts'
export type { SignatureScheme } from '#patterns/webhooks/signatures/scheme.ts'

export type { BatchContext, BatchItem } from '#patterns/topics/subscription.ts'
export type {
  CallOptions,
  Change,
  Context,
  EachOptions,
  FellBack,
  Joined,
  JoinStatement,
  PollOptions,
  PublishOptions,
  Receipt,
  Transaction,
  WalkedPage,
} from '#kernel/context.ts'
export type { Duration } from '#kernel/duration.ts'
export { Fault, isFault, reject } from '#kernel/fault.ts'
export type { FaultKind } from '#kernel/codes.ts'
export type { Message, Position } from '#kernel/message.ts'
export { secret, type Secret, type Secrets } from '#kernel/secret.ts'
export { sql, type Sql } from '#kernel/sql.ts'
export type { SecretsAdapter } from '#adapters/secrets/port.ts'
export type { StoreAdapter } from '#adapters/stores/port.ts'
