import t, { type Test } from 'tap'
import { consent } from '../../lib/oauth/consent.ts'
import { type RefreshToken, type RefreshTokenOptions, refreshToken } from '../../lib/oauth/oauth.ts'
import type { TokenSet } from '../../lib/oauth/request.ts'
import { createTokenDispatcher } from '../../lib/oauth/wire.ts'
import { agree } from '../servers/browser.ts'
import { type Scripted, serve } from '../servers/http.ts'
import { startTokenServer, type TokenServer } from '../servers/oidc.ts'
import { failure, VirtualTime } from './kit.ts'

const GRANT = 'books/acme'

/** A consent under way, and where it sends a person. */
function begin(
  t: Test,
  auth: RefreshToken,
): { tokens: Promise<TokenSet>; shown: Promise<[string, string | undefined]>; time: VirtualTime } {
  const dispatcher = createTokenDispatcher()
  t.teardown(() => dispatcher.destroy())
  const time = new VirtualTime()
  time.now = Date.now()
  const shown = Promise.withResolvers<[string, string | undefined]>()
  const { signal } = new AbortController()
  const tokens = consent(auth, GRANT, {
    dispatcher,
    now: () => time.now,
    sleep: time.sleep,
    signal,
    show: (address, code) => shown.resolve([address, code]),
  })
  tokens.catch(() => undefined)
  return { tokens, shown: shown.promise, time }
}

function declared({ url, tokenUrl }: Pick<TokenServer, 'url' | 'tokenUrl'>, more: Partial<RefreshTokenOptions>): RefreshToken {
  return refreshToken({
    provider: 'books',
    tokenUrl,
    clientId: 'headrace',
    clientSecret: () => 'planted-client-secret',
    scope: 'openid offline_access',
    rotation: 'strict',
    authorizeUrl: `${url}/auth`,
    authorizeParameters: { prompt: 'consent' },
    ...more,
  })
}

t.test('somebody consents in a browser of this machine', async t => {
  const server = await startTokenServer(t, { graceSeconds: 0 })
  const { tokens, shown } = begin(t, declared(server, {}))
  const [address, code] = await shown
  t.equal(code, undefined)
  const query = new URL(address).searchParams
  t.equal(query.get('code_challenge_method'), 'S256')
  t.match(query.get('redirect_uri'), /^http:\/\/127\.0\.0\.1:\d+\/callback$/)
  t.match(await agree(address), /this window can be closed/)
  const { accessToken, refreshToken, expiresIn } = await tokens
  t.equal(await server.valid(accessToken), true)
  t.equal(typeof refreshToken, 'string')
  t.equal(expiresIn, 3600)
})

t.test('whoever comes to the address without the state changes nothing', async t => {
  const server = await startTokenServer(t, { graceSeconds: 0 })
  const { tokens, shown } = begin(t, declared(server, {}))
  const [address] = await shown
  const redirect = new URL(address).searchParams.get('redirect_uri')
  for (const forged of ['?code=stolen', '?code=stolen&state=guessed', '?error=access_denied', '/elsewhere']) {
    t.equal((await fetch(`${redirect}${forged}`)).status, 404, forged)
  }
  await agree(address)
  t.equal(await server.valid((await tokens).accessToken), true)
})

t.test('a consent that is denied, or that nobody gives, says so', async t => {
  const auth = declared({ url: 'http://127.0.0.1:1', tokenUrl: 'http://127.0.0.1:1/token' }, {})
  const denied = begin(t, auth)
  const query = new URL((await denied.shown)[0]).searchParams
  await fetch(`${query.get('redirect_uri')}?error=access_denied&state=${query.get('state')}`)
  t.match(await failure(denied.tokens), { code: 'CONSENT_FAILED', message: 'grant books/acme: the provider says access_denied' })
  const late = begin(t, auth)
  await late.shown
  await late.time.sleeping(600_000)
  late.time.advance(600_000)
  t.match(await failure(late.tokens), { code: 'CONSENT_FAILED', message: /nobody consented within 10 minutes/ })
})

t.test('somebody consents on another device, which is asked for no more often than it allows', async t => {
  const server = await startTokenServer(t, { graceSeconds: 0 })
  const { tokens, shown, time } = begin(t, declared(server, { deviceUrl: `${server.url}/device/auth` }))
  const [address, code = ''] = await shown
  t.match(address, code)
  await time.sleeping(5_000)
  time.advance(5_000)
  // Not yet: it goes on waiting.
  await time.sleeping(5_000)
  await agree(address)
  time.advance(5_000)
  t.equal(await server.valid((await tokens).accessToken), true)
})

/** Servers of device codes that a test writes itself. */
async function device(t: Test, ...answers: readonly Scripted[]): Promise<ReturnType<typeof begin>> {
  const server = await serve([
    {
      body: {
        device_code: 'planted-device-code',
        user_code: 'ABCD',
        verification_uri: 'https://x.example/',
        expires_in: 20,
        interval: 5,
      },
    },
    ...answers,
  ])
  t.teardown(() => server.close())
  return begin(t, declared({ url: server.url, tokenUrl: `${server.url}/token` }, { deviceUrl: `${server.url}/device` }))
}

const pending: Scripted = { status: 400, body: { error: 'authorization_pending' } }

t.test('a device that is told to slow down does, and one that nobody answers gives up', async t => {
  const { tokens, shown, time } = await device(t, { status: 400, body: { error: 'slow_down' } }, pending)
  t.strictSame(await shown, ['https://x.example/', 'ABCD'])
  for (const ms of [5_000, 10_000, 10_000]) {
    await time.sleeping(ms)
    time.advance(ms)
  }
  t.match(await failure(tokens), { code: 'CONSENT_FAILED', message: /nobody consented within/ })
})

t.test('a device that is denied says so, without its code', async t => {
  const { tokens, time } = await device(t, {
    status: 400,
    body: { error: 'access_denied', error_description: 'planted-device-code was denied' },
  })
  await time.sleeping(5_000)
  time.advance(5_000)
  t.match(await failure(tokens), { code: 'CONSENT_FAILED', message: /access_denied \(… was denied\)/ })
})

t.test('a consent without a refresh token is none', async t => {
  const { tokens, time } = await device(t, { body: { access_token: 'planted', expires_in: 60 } })
  await time.sleeping(5_000)
  time.advance(5_000)
  t.match(await failure(tokens), { code: 'CONSENT_FAILED', message: /no refresh token/, hint: /offline_access/ })
})

t.test('a provider without any address for consent is told before anything is sent', async t => {
  const { authorizeUrl: _, ...auth } = declared({ url: 'http://127.0.0.1:1', tokenUrl: 'http://127.0.0.1:1/token' }, {})
  t.match(await failure(begin(t, auth).tokens), { code: 'CONSENT_FAILED', hint: /grants import/ })
})
