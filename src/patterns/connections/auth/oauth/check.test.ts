import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secret } from '#kernel/secret.ts'
import { authProblems } from '../check.ts'
import { authorizationCode, clientCredentials, jwtBearer } from './define.ts'
import { machine, person } from './world.fixture.ts'

const key = secret('KEY')

test('accepts what is whole', () => {
  for (const auth of [
    machine,
    person,
    clientCredentials({
      issuer: 'https://id.test/t1',
      clientId: 'us',
      authenticate: { method: 'private_key_jwt', key, algorithm: 'ES384', keyId: 'k1', audience: 'https://id.test' },
      resource: 'https://api.test',
    }),
    jwtBearer({
      tokenEndpoint: 'https://oauth2.googleapis.com/token',
      assertedBy: 'robot@project.iam.gserviceaccount.com',
      key,
      algorithm: 'RS256',
      scopes: ['https://www.googleapis.com/auth/spreadsheets'],
      scopesIn: 'assertion',
    }),
    authorizationCode({
      issuer: 'http://127.0.0.1:9000',
      clientId: 'public',
      redirectUri: 'http://127.0.0.1:8080/oauth/a',
      tokenKey: key,
      parameters: { access_type: 'offline' },
    }),
  ]) {
    assert.deepEqual(authProblems('auth', auth), [])
    assert.ok(Object.isFrozen(auth))
  }
})

test('reports everything wrong at once, without repeating a value', () => {
  const paths = (auth: unknown): string[] => {
    const problems = authProblems('auth', auth)
    assert.ok(!JSON.stringify(problems).includes('canary'))
    return problems.map((p) => p.path.replace('auth.', '')).sort()
  }
  assert.deepEqual(paths({ kind: 'oauth', grant: 'password' }), ['auth'])
  assert.deepEqual(paths({ kind: 'oauth', grant: 'client_credentials', authenticate: { method: 'none' } }), [
    'authenticate',
    'clientId',
    'issuer',
  ])
  assert.deepEqual(
    paths({
      kind: 'oauth',
      grant: 'authorization_code',
      issuer: 'http://id.test',
      tokenEndpoint: 'ftp://id.test',
      clientId: 'us',
      authenticate: { method: 'client_secret_basic', secret: 'canary', more: 1 },
      scopes: ['two words'],
      redirectUri: 'https://us.test/',
      tokenKey: 'canary',
      parameters: { state: 'canary', prompt: 1 },
      scope: 'x',
    }),
    [
      'authenticate.more',
      'authenticate.secret',
      'authorizationEndpoint',
      'issuer',
      'parameters.prompt',
      'parameters.state',
      'redirectUri',
      'scope',
      'scopes',
      'tokenEndpoint',
      'tokenKey',
    ],
  )
  assert.deepEqual(
    paths({ kind: 'oauth', grant: 'jwt_bearer', issuer: 'https://id.test', key: 'canary', scopesIn: 'x' }),
    ['algorithm', 'assertedBy', 'key', 'scopesIn'],
  )
})
