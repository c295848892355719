import { fault, isFault } from '#kernel/fault.ts'
import type { HttpResponse } from '#kernel/http.ts'
import { secret, type Secret } from '#kernel/secret.ts'
import { ask, objectOf, textIn } from '../ask.ts'
import type { Pass } from '../login.ts'
import type { SecretsRuntime } from '../port.ts'

export type AwsCredential = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
}

const kind = 'aws'
/** Temporary credentials are given up this long before they end, milliseconds. */
const early = 300_000
const instance = 'http://169.254.169.254'
/** Where a container's credentials may be asked for in the clear: ECS, EKS (both families). */
const local = new Set(['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]', '127.0.0.1', 'localhost', '[::1]'])

/** The usual chain of AWS, of what a server has: environment, web identity, container, instance. */
export class AwsCredentials {
  readonly #region: string
  readonly #runtime: SecretsRuntime
  readonly #read: (secret: Secret | string) => Promise<string>

  constructor(region: string, runtime: SecretsRuntime, read: (secret: Secret | string) => Promise<string>) {
    this.#region = region
    this.#runtime = runtime
    this.#read = read
  }

  /** The first that is there. Rejects with `config.secret` when none is, with `secret.unavailable` when nobody answers. */
  async find(): Promise<Pass<AwsCredential>> {
    const accessKeyId = await this.#optional('AWS_ACCESS_KEY_ID')
    if (accessKeyId !== undefined) {
      const secretAccessKey = await this.#read(secret('AWS_SECRET_ACCESS_KEY'))
      const sessionToken = await this.#optional('AWS_SESSION_TOKEN')
      return { pass: { accessKeyId, secretAccessKey, sessionToken }, life: Number.POSITIVE_INFINITY, renewable: false }
    }
    const file = await this.#optional('AWS_WEB_IDENTITY_TOKEN_FILE')
    if (file !== undefined) return this.#webIdentity(file, await this.#read(secret('AWS_ROLE_ARN')))
    const path = await this.#optional('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI')
    const full =
      path === undefined ? await this.#optional('AWS_CONTAINER_CREDENTIALS_FULL_URI') : `http://169.254.170.2${path}`
    if (full !== undefined) return this.#container(full)
    return this.#instance()
  }

  async #webIdentity(file: string, role: string): Promise<Pass<AwsCredential>> {
    const token = (await this.#file(file)).trim()
    const session = (await this.#optional('AWS_ROLE_SESSION_NAME')) ?? 'fairlead'
    const answer = await ask(this.#runtime, kind, {
      method: 'POST',
      url: `https://sts.${this.#region}.amazonaws.com${this.#region.startsWith('cn-') ? '.cn' : ''}/`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        Action: 'AssumeRoleWithWebIdentity',
        Version: '2011-06-15',
        RoleArn: role,
        RoleSessionName: session,
        WebIdentityToken: token,
      }).toString(),
    })
    good('STS', answer)
    // The answer is XML of four flat texts without entities; a parser would be the only thing it is needed for.
    const xml = new TextDecoder().decode(answer.body)
    const read = (name: string): unknown => new RegExp(`<${name}>([^<]{1,8192})</${name}>`).exec(xml)?.[1]
    return this.#temporary({
      AccessKeyId: read('AccessKeyId'),
      SecretAccessKey: read('SecretAccessKey'),
      Token: read('SessionToken'),
      Expiration: read('Expiration'),
    })
  }

  async #container(url: string): Promise<Pass<AwsCredential>> {
    const { protocol, hostname } = URL.parse(url) ?? { protocol: '', hostname: '' }
    if (protocol !== 'https:' && !(protocol === 'http:' && local.has(hostname))) {
      throw fault('config.secret', {
        message: 'AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of this host',
      })
    }
    const file = await this.#optional('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE')
    const token =
      file === undefined ? await this.#optional('AWS_CONTAINER_AUTHORIZATION_TOKEN') : (await this.#file(file)).trim()
    const headers = token === undefined ? {} : { authorization: token }
    const answer = await ask(this.#runtime, kind, { method: 'GET', url, headers, total: 2_000 })
    good('the container', answer)
    return this.#temporary(objectOf(kind, answer))
  }

  /** IMDSv2 only: the first version answers to whoever can make us send a request. */
  async #instance(): Promise<Pass<AwsCredential>> {
    const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' }
    const total = 1_000
    const given = await ask(this.#runtime, kind, {
      method: 'PUT',
      url: `${instance}/latest/api/token`,
      headers: ttl,
      total,
    })
    good('the instance', given)
    const token = new TextDecoder().decode(given.body)
    this.#runtime.redact.learn(token)
    const headers = { 'x-aws-ec2-metadata-token': token }
    const at = `${instance}/latest/meta-data/iam/security-credentials/`
    const roles = await ask(this.#runtime, kind, { method: 'GET', url: at, headers, total })
    good('the instance', roles)
    const role = new TextDecoder().decode(roles.body).split('\n')[0]!.trim()
    const answer = await ask(this.#runtime, kind, { method: 'GET', url: at + encodeURIComponent(role), headers, total })
    good('the instance', answer)
    return this.#temporary(objectOf(kind, answer))
  }

  #temporary(given: Readonly<Record<string, unknown>>): Pass<AwsCredential> {
    const pass = {
      accessKeyId: textIn(kind, given, 'AccessKeyId'),
      secretAccessKey: textIn(kind, given, 'SecretAccessKey'),
      sessionToken: textIn(kind, given, 'Token'),
    }
    this.#runtime.redact.learn(pass.secretAccessKey)
    this.#runtime.redact.learn(pass.sessionToken)
    const left = Date.parse(textIn(kind, given, 'Expiration')) - this.#runtime.clock.now()
    return { pass, life: Math.max(left - early, left / 2, 1_000), renewable: false }
  }

  /** Undefined when it is not set. */
  async #optional(name: string): Promise<string | undefined> {
    try {
      return await this.#read(secret(name))
    } catch (e) {
      if (isFault(e, 'config.secret')) return undefined
      throw e
    }
  }

  async #file(path: string): Promise<string> {
    try {
      const text = await this.#runtime.files.read(path)
      this.#runtime.redact.learn(text.trim())
      return text
    } catch (cause) {
      throw fault('config.secret', { message: `the token at ${path} cannot be read`, cause })
    }
  }
}

function good(whose: string, answer: HttpResponse): void {
  if (answer.status === 200) return
  throw fault('config.secret', {
    message: `${whose} gives us no credentials of AWS: status ${answer.status}`,
    detail: { status: answer.status },
  })
}
