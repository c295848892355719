import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorOf, parsed, run, temporaryFolder } from './child.fixture.ts'

const project = {
  'fairlead.config.ts': `
    import { authorizationCode, bearer, connection, secret } from 'fairlead'
    import { sqlite } from 'fairlead/sqlite'
    const auth = authorizationCode({
      issuer: 'https://login.crm.test',
      clientId: 'fairlead',
      scopes: ['contacts.read', 'admin'],
      redirectUri: 'https://hooks.example.org/oauth/crm',
      tokenKey: secret('TOKEN_KEY'),
    })
    const operations = { contacts: { http: 'GET /contacts', scopes: ['contacts.read'] } }
    const crm = connection('crm', { baseUrl: 'https://api.crm.test', auth, operations })
    const plain = connection('plain', { baseUrl: 'https://a.test', operations: { list: { http: 'GET /' } } })
    export const use = [[crm, plain]]
    export const store = sqlite('./x.db')`,
}

test('prints a link that works once, the scopes, and who waits for a person', async (t) => {
  const cwd = temporaryFolder(t, project)
  const env = { TOKEN_KEY: Buffer.alloc(32, 3).toString('base64') }
  const link = await run(t, ['authorize', 'crm'], { cwd, env })
  assert.match(link.out, /^https:\/\/hooks\.example\.org\/oauth\/crm\/start\?ticket=[\w-]{43}$/, link.err)
  const [again, unknown, scopes, status, trail] = await Promise.all([
    run(t, ['authorize', 'crm', '--json'], { cwd, env }),
    run(t, ['authorize', 'plain', '--json'], { cwd, env }),
    run(t, ['scopes'], { cwd, env }),
    run(t, ['status'], { cwd, env }),
    run(t, ['audit'], { cwd, env }),
  ])
  const other = parsed(again) as { url: string; until: string }
  assert.notEqual(other.url, link.out)
  assert.ok(!Number.isNaN(Date.parse(other.until)))
  assert.equal(errorOf(unknown).code, 'app.unknown')
  assert.match(scopes.out, /crm +contacts\.read +yes +not said +declared, never needed/)
  assert.match(scopes.out, /crm +admin +yes +not said +no operation declares it/)
  assert.match(status.out, /crm is held: nobody has authorised it yet: fairlead authorize crm/)
  assert.match(trail.out, /authorize +connection\/crm/)
  for (const shown of [scopes, status, trail])
    assert.ok(!shown.out.includes(new URL(other.url).searchParams.get('ticket')!))
})
