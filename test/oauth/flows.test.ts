import { createVerify, generateKeyPairSync } from 'node:crypto'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { openAccess as openRunAccess } from '../../lib/access.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { clientCredentials, type OAuth, refreshToken, type ServiceAccountOptions, serviceAccount } from '../../lib/oauth/oauth.ts'
import { imported } from '../../lib/oauth/tokens.ts'
import { type Received, type Scripted, type Server, serve } from '../servers/http.ts'
import { failure, KEY, type Opened, openAccess, provider, VirtualTime } from './kit.ts'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' })
const KEY_FILE = JSON.stringify({ client_email: 'robot@example.com', private_key: PEM, private_key_id: 'k1' })
const TOKEN: Scripted = { body: { access_token: 'access-1', token_type: 'Bearer', expires_in: 3600 } }

async function started(t: Test, script: Scripted | readonly Scripted[]): Promise<Server> {
  const server = await serve(script)
  t.teardown(() => server.close())
  return server
}

async function robot(
  t: Test,
  script: Scripted | readonly Scripted[],
  more: Partial<ServiceAccountOptions> = {},
): Promise<Opened & { readonly server: Server; readonly time: VirtualTime }> {
  const server = await started(t, script)
  const auth = serviceAccount({ provider: 'g', tokenUrl: `${server.url}/token`, key: KEY_FILE, scope: 'read', ...more })
  const time = new VirtualTime()
  return { ...openAccess(t, auth, time), server, time }
}

/** The claims of the assertion in a request, if its signature is right. */
function claimsOf(received: Received | undefined): Record<string, unknown> {
  const assertion = new URLSearchParams(received?.body).get('assertion') ?? ''
  const [header = '', claims = '', signature = ''] = assertion.split('.')
  const right = createVerify('RSA-SHA256').update(`${header}.${claims}`).verify(publicKey, signature, 'base64url')
  if (!right) throw new Error('the signature is wrong')
  const read = (part: string): Record<string, unknown> => JSON.parse(Buffer.from(part, 'base64url').toString())
  return { ...read(header), ...read(claims) }
}

t.test('a service account signs who it is, for whom it asks, and for five minutes', async t => {
  const { headers, server, time } = await robot(t, TOKEN, { subject: account => `${account}@example.com` })
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  const body = new URLSearchParams(server.received[0]?.body)
  t.equal(body.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer')
  const now = time.now / 1_000
  t.match(claimsOf(server.received[0]), {
    alg: 'RS256',
    typ: 'JWT',
    kid: 'k1',
    iss: 'robot@example.com',
    sub: 'app@example.com',
    aud: `${server.url}/token`,
    scope: 'read',
    iat: now - 30,
    exp: now + 300,
  })
})

t.test('a server whose clock differs gets an assertion that is dated by its clock', async t => {
  const hourAgo = (time: VirtualTime): Scripted => ({
    status: 400,
    headers: { date: new Date(time.now - 3_600_000).toUTCString() },
    body: { error: 'invalid_grant', error_description: 'Invalid JWT: check your iat and exp' },
  })
  const { headers, server, time } = await robot(t, [() => hourAgo(new VirtualTime()), TOKEN])
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  t.equal(claimsOf(server.received[1]).iat, time.now / 1_000 - 3_600 - 30)
})

t.test('a service account that is refused needs no consent, and is not asked about by every chunk', async t => {
  const now = new Date(new VirtualTime().now).toUTCString()
  const { headers, server } = await robot(t, { status: 400, headers: { date: now }, body: { error: 'invalid_grant' } })
  for (const chunk of Array.from({ length: 5 }, headers)) t.match(await failure(chunk), { code: 'OAUTH_CLIENT_REFUSED' })
  t.equal(server.received.length, 1)
})

t.test('a key that is none is told without a word of it', async t => {
  const keys = { '{"private_key":"planted"': /it is not JSON/, '{"private_key":"planted"}': /no client_email/ }
  const bad = JSON.stringify({ client_email: 'x', private_key: 'planted' })
  for (const [key, message] of [...Object.entries(keys), [bad, /private_key is not an RSA key/] as const]) {
    const { headers, server } = await robot(t, TOKEN, { key })
    const error = await failure(headers())
    t.match(error, { code: 'CONFIG_INVALID', message })
    t.notMatch(String(error), 'planted')
    t.equal(server.received.length, 0)
  }
})

t.test('an application asks for itself: its scope, its parameters, its secret in the header or in the body', async t => {
  const server = await started(t, TOKEN)
  const options = {
    provider: 'books',
    tokenUrl: server.url,
    clientId: 'my-app',
    clientSecret: () => 'a-b c%',
    scope: 'read',
    parameters: { audience: 'https://api' },
  }
  await openAccess(t, clientCredentials(options), new VirtualTime()).headers()
  await openAccess(t, clientCredentials({ ...options, clientAuthentication: 'post' }), new VirtualTime()).headers()
  const [basic, post] = server.received
  t.same(Object.fromEntries(new URLSearchParams(basic?.body)), {
    grant_type: 'client_credentials',
    scope: 'read',
    audience: 'https://api',
  })
  t.equal(basic?.headers.authorization, `Basic ${Buffer.from('my-app:a-b+c%25').toString('base64')}`)
  t.match(Object.fromEntries(new URLSearchParams(post?.body)), { client_id: 'my-app', client_secret: 'a-b c%' })
  t.equal(post?.headers.authorization, undefined)
})

t.test('a token goes where the provider wants it', async t => {
  const server = await started(t, TOKEN)
  const auth = clientCredentials({
    provider: 'shop',
    tokenUrl: account => `${server.url}/${account}/token`,
    clientId: 'x',
    account: client => client.toUpperCase(),
    headers: token => ({ 'x-shop-token': token }),
  })
  const { headers, ledger } = openAccess(t, auth, new VirtualTime())
  t.strictSame(await headers(), { 'x-shop-token': 'access-1' })
  t.equal(server.received[0]?.path, '/ACME/token')
  t.match(await ledger.grants(), [{ name: 'shop/ACME' }])
})

t.test('a declaration that cannot work says everything that is wrong', async t => {
  t.throws(
    () =>
      refreshToken({
        provider: 'My Books',
        tokenUrl: 'http://books.example.com/token?secret=planted',
        authorizeUrl: 'nowhere',
        clientId: 'x',
        rotation: { graceSeconds: 0 },
        refreshTokenDays: 0,
        redirectUrl: 'https://books.example.com/',
      }),
    {
      code: 'CONFIG_INVALID',
      message:
        'OAuth provider My Books: its name is not lower-case words joined by hyphens; http://books.example.com is not https: what is sent there ' +
        'could be read on the way; "nowhere" is not an absolute address; rotation {"graceSeconds":0} is neither \'none\' nor \'strict\' nor ' +
        '{ graceSeconds }; refreshTokenDays 0 is not more than 0; redirectUrl https://books.example.com/ is not an http address of this machine',
    },
  )
  const nobody = openAccess(t, provider('http://127.0.0.1:1', { account: () => ' ' }), new VirtualTime())
  t.match(await failure(nobody.headers()), {
    code: 'CONFIG_INVALID',
    message: /the account of client acme is " ", which names nobody/,
  })
  const open = openAccess(t, provider('http://127.0.0.1:1', { tokenUrl: () => 'http://evil.example' }), new VirtualTime())
  await open.ledger.putGrant('books/acme', imported(open.access.seal, provider('http://127.0.0.1:1'), 'books/acme', 'x', 0))
  t.match(await failure(open.headers()), { code: 'CONFIG_INVALID', message: /http:\/\/evil.example is not https/ })
})

t.test('metrics and warnings know in advance which grants end, and which are missing', async t => {
  const server = await started(t, [
    { body: { access_token: 'a', expires_in: 3600, refresh_token: 'r1', refresh_token_expires_in: 86_400 * 3 } },
    { status: 400, body: { error: 'invalid_grant' } },
  ])
  const auth: OAuth = provider(server.url, { refreshTokenDays: 30 })
  const { ledger, access, time } = { ...openAccess(t, auth, new VirtualTime()), time: new VirtualTime() }
  for (const client of ['acme', 'globex']) {
    await ledger.putGrant(`books/${client}`, imported(access.seal, auth, `books/${client}`, 'r0', time.now))
  }
  const registry = new Registry()
  const warned: string[] = []
  const open = () =>
    openRunAccess(auth, () => ['acme', 'globex', 'initech'], {
      ledger,
      metrics: createMetrics(registry),
      grantKey: KEY,
      now: () => time.now,
      sleep: time.sleep,
      warn: (_, message) => warned.push(message),
    })
  const run = await open()
  const { signal } = new AbortController()
  const grants = async (): Promise<unknown> => {
    const values = (await registry.getSingleMetric('headrace_grants')?.get())?.values ?? []
    return Object.fromEntries(values.map(({ labels, value }) => [labels.state, value]))
  }
  t.match(await grants(), { usable: 2, missing: 1, refused: 0 })
  await run.authorize('acme')?.({ refused: undefined, signal })
  t.match(await failure(run.authorize('globex')?.({ refused: undefined, signal }) ?? Promise.resolve()), {
    code: 'GRANT_REFUSED',
  })
  t.strictSame(await run.close(), [])
  t.match(await grants(), { usable: 1, missing: 1, refused: 1 })
  const text = await registry.metrics()
  t.match(text, `headrace_credential_expiry_timestamp_seconds{provider="books"} ${(time.now + 86_400_000 * 3) / 1_000}`)
  t.match(text, 'headrace_token_requests_total{provider="books",outcome="granted"} 1')
  t.match(text, 'headrace_token_requests_total{provider="books",outcome="refused"} 1')
  t.strictSame(warned, [])
  registry.clear()
  await (await open()).close()
  t.strictSame(warned, ['grant books/acme ends in 3 days: have the account consent again'])
})
