import t, { type Test } from 'tap'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { OAuth, Rotation } from '../../lib/oauth/oauth.ts'
import { imported } from '../../lib/oauth/tokens.ts'
import { openClient } from '../http/setup.ts'
import { sql } from '../ledger/kit.ts'
import { RESET, type Scripted, type Server, serve } from '../servers/http.ts'
import { failure, type Opened, openAccess, provider, VirtualTime } from './kit.ts'

const GRANT = 'books/acme'
const HOUR = 3_600_000

/** An answer with tokens. */
function tokens(number: number, more: object = {}): Scripted {
  return {
    body: {
      access_token: `access-${number}`,
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token: `refresh-${number}`,
      ...more,
    },
  }
}

function oauthError(error: string, status = 400, more: object = {}): Scripted {
  return { status, body: { error, ...more } }
}

/** A process whose grant was imported with the refresh token `refresh-0`. */
async function opened(
  t: Test,
  script: Scripted | readonly Scripted[],
  options: { readonly rotation?: Rotation; readonly wrap?: (ledger: Ledger) => Ledger } = {},
): Promise<Opened & { readonly server: Server; readonly time: VirtualTime; readonly auth: OAuth }> {
  const server = await serve(script)
  t.teardown(() => server.close())
  const time = new VirtualTime()
  const auth = provider(`${server.url}/token`, { rotation: options.rotation ?? 'strict' })
  const it = openAccess(t, auth, time, options.wrap === undefined ? {} : { wrap: options.wrap })
  await it.ledger.putGrant(GRANT, imported(it.access.seal, auth, GRANT, 'refresh-0', time.now))
  return { ...it, server, time, auth }
}

/** The refresh token that each request carried. */
function sent({ received }: Server): (string | null)[] {
  return received.map(({ body }) => new URLSearchParams(body).get('refresh_token'))
}

t.test('the first request obtains a token, and those after it use the same one', async t => {
  const { headers, server } = await opened(t, tokens(1))
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  t.equal(server.received.length, 1)
  const [asked] = server.received
  t.equal(asked?.headers.authorization, `Basic ${Buffer.from('headrace:planted-client-secret').toString('base64')}`)
  t.equal(new URLSearchParams(asked?.body).get('grant_type'), 'refresh_token')
})

t.test('the newest refresh token is used next, and one that is not replaced is kept', async t => {
  const { headers, server, time } = await opened(t, [tokens(1), tokens(2, { refresh_token: undefined }), tokens(3)])
  for (const expected of ['access-1', 'access-2', 'access-3']) {
    t.strictSame(await headers(), { authorization: `Bearer ${expected}` })
    time.advance(HOUR)
  }
  t.strictSame(sent(server), ['refresh-0', 'refresh-1', 'refresh-1'])
})

t.test('a token is renewed ahead of its end, and nobody waits for that', async t => {
  const { headers, server, time } = await opened(t, [tokens(1), () => undefined])
  await headers()
  // Past the latest renewal, five minutes before the end, and before the reserve of half a minute.
  time.advance(HOUR - 299_000)
  t.strictSame(await headers(), { authorization: 'Bearer access-1' }, 'the old one, at once')
  await server.arrived(2)
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  t.equal(server.received.length, 2, 'one renewal for all')
})

t.test('the pair is in the ledger before the token is used', async t => {
  let stored = false
  const { headers } = await opened(t, tokens(1), {
    wrap: ledger => ({
      ...ledger,
      renewGrant: async (...args) => {
        const done = await ledger.renewGrant(...args)
        stored = true
        return done
      },
    }),
  })
  await headers()
  t.ok(stored)
})

t.test('a token that could not be stored is not used, is kept, and is stored as soon as the ledger can be written', async t => {
  const { headers, server, time, ledger, access, path } = await opened(t, tokens(1))
  // The claim can be written, and the tokens cannot: the last byte of the disk went in between.
  sql(
    path,
    "CREATE TRIGGER full BEFORE UPDATE OF sealed ON access_grant BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END",
  )
  const asked = failure(headers())
  for (const ms of [500, 1_000]) {
    await time.sleeping(ms)
    time.advance(ms)
  }
  t.match(await asked, { code: 'GRANT_NOT_STORED', message: /books\/acme.*disk is full.*not used/ })
  t.match(await failure(headers()), { code: 'GRANT_NOT_STORED' }, 'and again, without another request')
  t.equal(server.received.length, 1)
  sql(path, 'DROP TRIGGER full')
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  t.equal(server.received.length, 1)
  t.strictSame(await access.close(), [])
  t.match(await ledger.grant(GRANT), { intentAt: null, renewing: false })
})

t.test('what could not be stored until the end is named', async t => {
  const { headers, time, access } = await opened(t, tokens(1), {
    wrap: ledger => ({ ...ledger, renewGrant: () => Promise.reject(new Error('attempt to write a readonly database')) }),
  })
  const asked = failure(headers())
  for (const ms of [500, 1_000]) {
    await time.sleeping(ms)
    time.advance(ms)
  }
  await asked
  t.strictSame(await access.close(), [GRANT])
})

for (const [name, answer] of Object.entries({
  'answers 503': oauthError('busy', 503),
  'answers with HTML': { status: 503, body: '<html>' },
})) {
  t.test(`a token server that ${name} costs no grant, and is asked again later`, async t => {
    const { headers, server, time, ledger, outcomes } = await opened(t, [answer, tokens(1)])
    t.match(await failure(headers()), { code: 'TOKEN_UNAVAILABLE', message: /answered 503/, notBefore: undefined })
    t.match(await ledger.grant(GRANT), { refusal: null, intentAt: null, renewing: false })
    const again = headers()
    await new Promise(resolve => setImmediate(resolve))
    t.equal(server.received.length, 1, 'not at once')
    const [wait = 0] = time.waits
    t.ok(wait >= 1_000 && wait <= 3_000, `${wait} ms`)
    time.advance(wait)
    t.strictSame(await again, { authorization: 'Bearer access-1' })
    t.strictSame(outcomes, ['failed', 'granted'])
  })
}

t.test('a token server that asks to wait longer than a slot is worth parks the chunk', async t => {
  const { headers, time } = await opened(t, { ...(oauthError('slow_down', 429) as object), headers: { 'retry-after': '900' } })
  t.match(await failure(headers()), { code: 'TOKEN_UNAVAILABLE', notBefore: time.now + 900_000 })
})

t.test('nobody listening is no lost answer', async t => {
  const { headers, server, ledger, outcomes } = await opened(t, tokens(1))
  await server.close()
  t.match(await failure(headers()), { code: 'TOKEN_UNAVAILABLE', message: /cannot be reached: ECONNREFUSED/ })
  t.match(await ledger.grant(GRANT), { intentAt: null })
  t.strictSame(outcomes, ['failed'])
})

t.test('a grant that is over stops everybody, is not asked for again, and works after a new consent', async t => {
  const { headers, server, ledger, access, auth, time, path } = await opened(t, [
    oauthError('invalid_grant', 400, { error_description: 'Token was revoked' }),
    tokens(1),
  ])
  const refused = {
    code: 'GRANT_REFUSED',
    kind: 'config',
    message: /books\/acme.*invalid_grant \(Token was revoked\)/,
    hint: /grants consent books\/acme/,
  }
  for (const chunk of Array.from({ length: 20 }, headers)) t.match(await failure(chunk), refused)
  t.match(await failure(openAccess(t, auth, time, { path, owner: 'other' }).headers()), refused, 'in another process as well')
  t.equal(server.received.length, 1)
  await ledger.putGrant(GRANT, imported(access.seal, auth, GRANT, 'refresh-new', time.now))
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  t.strictSame(sent(server), ['refresh-0', 'refresh-new'])
})

t.test('an application that is refused costs no grant, and is not tried by every chunk', async t => {
  const { headers, server, ledger, time } = await opened(t, [
    { ...(oauthError('invalid_client', 401) as object), headers: { 'www-authenticate': 'Basic realm="x"' } },
    tokens(1),
  ])
  for (const chunk of Array.from({ length: 20 }, headers)) {
    t.match(await failure(chunk), { code: 'OAUTH_CLIENT_REFUSED', message: /answered 401: invalid_client/ })
  }
  t.equal(server.received.length, 1)
  t.match(await ledger.grant(GRANT), { refusal: null, renewing: false })
  time.advance(300_000)
  t.strictSame(await headers(), { authorization: 'Bearer access-1' }, 'after a while it is let try again')
})

t.test('a server that rotates and then stalls for 70 s is waited for', async t => {
  const answered = Promise.withResolvers<undefined>()
  const { headers, server, time } = await opened(t, (received, response) => {
    void answered.promise.then(() => response.end(JSON.stringify((tokens(1) as { body: object }).body)))
    response.writeHead(200, { 'content-type': 'application/json' })
    return received.body === '' ? RESET : undefined
  })
  const asked = headers()
  await server.arrived(1)
  time.advance(70_000)
  answered.resolve(undefined)
  t.strictSame(await asked, { authorization: 'Bearer access-1' })
})

const LOST: Readonly<Record<string, readonly [answer: Scripted, problem: RegExp]>> = {
  'a connection that breaks': [RESET, /broke before it answered/],
  'a gateway that gave up': [{ status: 504, body: 'gateway timeout' }, /answered 504/],
  'a page of a proxy': [{ body: '<html>Welcome</html>' }, /are not a JSON object/],
  'an answer without a token': [{ body: {} }, /without an access token/],
}

for (const [name, [answer, problem]] of Object.entries(LOST)) {
  t.test(`${name} leaves open whether a strict server has rotated: the old token rests, and is tried once`, async t => {
    const { headers, server, time, ledger } = await opened(t, [answer, tokens(1)])
    const asked = time.now
    t.match(await failure(headers()), { code: 'TOKEN_UNAVAILABLE', message: problem, notBefore: asked + 180_000 })
    t.match(await ledger.grant(GRANT), { intentAt: asked, refusal: null, renewing: false })
    t.match(await failure(headers()), { code: 'TOKEN_UNAVAILABLE', notBefore: asked + 180_000 })
    t.equal(server.received.length, 1, 'no transport retry')
    time.advance(180_000)
    t.strictSame(await headers(), { authorization: 'Bearer access-1' })
    t.strictSame(sent(server), ['refresh-0', 'refresh-0'])
    t.match(await ledger.grant(GRANT), { intentAt: null })
  })
}

t.test('no answer within 90 s is a lost answer', async t => {
  const { headers, server, time, ledger } = await opened(t, () => undefined)
  const asked = failure(headers())
  await server.arrived(1)
  time.advance(89_999)
  t.match(await ledger.grant(GRANT), { renewing: true })
  time.advance(1)
  t.match(await asked, { code: 'TOKEN_UNAVAILABLE', message: /did not answer within 90 s/ })
})

t.test('a strict server that has rotated ends the grant, and the error says that an answer was lost', async t => {
  const { headers, time } = await opened(t, [RESET, oauthError('invalid_grant')])
  await failure(headers())
  time.advance(180_000)
  t.match(await failure(headers()), {
    code: 'GRANT_REFUSED',
    message: /invalid_grant; an earlier answer was lost at 2026-01-31 06:00 UTC/,
    hint: /consent again/,
  })
})

t.test('where the old token has a grace, or does not rotate, a lost answer heals at once', async t => {
  for (const rotation of ['none', { graceSeconds: 1_800 }] as const) {
    const { headers, server, time } = await opened(t, [RESET, tokens(1)], { rotation })
    t.match(await failure(headers()), { code: 'TOKEN_UNAVAILABLE', notBefore: undefined })
    const again = headers()
    await new Promise(resolve => setImmediate(resolve))
    time.advance(3_000)
    t.strictSame(await again, { authorization: 'Bearer access-1' })
    t.strictSame(sent(server), ['refresh-0', 'refresh-0'])
  }
})

t.test('within its grace the token before is tried once when the newest is not accepted, and not beyond it', async t => {
  const { headers, server, time } = await opened(
    t,
    [tokens(1), oauthError('invalid_grant'), tokens(2), oauthError('invalid_grant')],
    {
      rotation: { graceSeconds: 7_200 },
    },
  )
  await headers()
  time.advance(HOUR)
  t.strictSame(await headers(), { authorization: 'Bearer access-2' })
  time.advance(2 * HOUR)
  t.match(await failure(headers()), { code: 'GRANT_REFUSED' })
  t.strictSame(sent(server), ['refresh-0', 'refresh-1', 'refresh-0', 'refresh-2'])
})

t.test('while the access token lives, a token server that is down stops nobody', async t => {
  const { headers, time, renewals } = await opened(t, [tokens(1), oauthError('down', 503)])
  await headers()
  time.advance(HOUR - 200_000)
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  await renewals(2)
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  await renewals(3)
  time.advance(200_000)
  t.match(await failure(headers()), { code: 'TOKEN_UNAVAILABLE' })
})

t.test('a token that the API does not accept is renewed once for all, and not again for a while', async t => {
  const { headers, server, time } = await opened(t, [tokens(1), tokens(2), tokens(3)])
  const first = await headers()
  const [second, third] = await Promise.all([headers(first), headers(first)])
  t.strictSame(second, { authorization: 'Bearer access-2' })
  t.strictSame(third, second)
  t.strictSame(await headers(first), second, 'whoever comes late with the old one gets the new one')
  t.strictSame(await headers(second), second, 'another one would fare no better')
  t.equal(server.received.length, 2)
  time.advance(300_000)
  t.strictSame(await headers(second), { authorization: 'Bearer access-3' })
})

t.test('a stale copy heals: what another process stored is used, without a request', async t => {
  const { headers, server, time, auth, path } = await opened(t, [tokens(1), tokens(2)])
  const first = await headers()
  time.advance(HOUR - 100_000)
  const other = openAccess(t, auth, time, { path, owner: 'other' })
  t.strictSame(await other.headers(), { authorization: 'Bearer access-2' })
  t.strictSame(await headers(first), { authorization: 'Bearer access-2' })
  t.equal(server.received.length, 2)
})

t.test('a refusal that a sibling has overtaken is none, and no older token is tried', async t => {
  const sibling = Promise.withResolvers<Opened>()
  const script: readonly Scripted[] = [
    tokens(1),
    (_received, response) => {
      // This process asks with the old token; meanwhile somebody consents anew.
      void sibling.promise.then(async other => {
        await other.ledger.putGrant(GRANT, imported(other.access.seal, auth, GRANT, 'refresh-new', time.now))
        response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_grant"}')
      })
      return undefined
    },
    tokens(2),
  ]
  const { headers, server, time, auth, path } = await opened(t, script, { rotation: { graceSeconds: 7_200 } })
  await headers()
  time.advance(HOUR)
  const asked = headers()
  await server.arrived(2)
  sibling.resolve(openAccess(t, auth, time, { path, owner: 'other' }))
  t.strictSame(await asked, { authorization: 'Bearer access-2' })
  t.strictSame(sent(server), ['refresh-0', 'refresh-1', 'refresh-new'])
})

t.test('a token that ends at once is used all the same', async t => {
  const { headers, server } = await opened(t, tokens(1, { expires_in: 0 }))
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  t.equal(server.received.length, 1)
})

t.test('a token without an end is used until the API does not accept it', async t => {
  const { headers, server, time } = await opened(t, [tokens(1, { expires_in: undefined }), tokens(2)])
  const first = await headers()
  time.advance(10_000 * HOUR)
  t.strictSame(await headers(), first)
  t.strictSame(await headers(first), { authorization: 'Bearer access-2' })
  t.equal(server.received.length, 2)
})

t.test('an answer with details that break the standard still counts: the server will not rotate back', async t => {
  const odd = {
    token_type: 'BearerToken',
    expires_in: '3600',
    id_token: 'not.a.jwt',
    scope: 7,
    refresh_token_expires_in: '7776000',
  }
  const { headers, ledger, time } = await opened(t, tokens(1, odd))
  t.strictSame(await headers(), { authorization: 'Bearer access-1' })
  t.match(await ledger.grant(GRANT), { tokens: { refreshExpiresAt: time.now + 7_776_000_000, expiresAt: time.now + HOUR } })
})

t.test('an end that is none is not known, and a refresh token that is none replaces nothing', async t => {
  const { headers, server, ledger, time } = await opened(t, [tokens(1, { expires_in: 'soon', refresh_token: 7 }), tokens(2)])
  const first = await headers()
  t.match(await ledger.grant(GRANT), { tokens: { expiresAt: null, renewAt: null } })
  time.advance(HOUR)
  t.strictSame(await headers(), first)
  await headers(first)
  t.strictSame(sent(server), ['refresh-0', 'refresh-0'])
})

t.test('a request that is given up leaves the renewal to the others', async t => {
  const answer = Promise.withResolvers<undefined>()
  const { access, auth, headers, server } = await opened(t, (_received, response) => {
    void answer.promise.then(() => response.end(JSON.stringify((tokens(1) as { body: object }).body)))
    response.writeHead(200, { 'content-type': 'application/json' })
    return undefined
  })
  const { http, abort, destroy } = openClient()
  t.teardown(destroy)
  const given = failure(http.json(server.url, { authorize: access.authorize(auth, 'acme') }))
  const other = headers()
  await server.arrived(1)
  abort.abort(new Error('given up'))
  t.match(await given, { message: 'given up' })
  answer.resolve(undefined)
  t.strictSame(await other, { authorization: 'Bearer access-1' })
})

t.test('the end of the process waits for the answer, which is stored', async t => {
  const answer = Promise.withResolvers<undefined>()
  const { headers, server, access, ledger, time } = await opened(t, (_received, response) => {
    void answer.promise.then(() => response.end(JSON.stringify((tokens(1) as { body: object }).body)))
    response.writeHead(200, { 'content-type': 'application/json' })
    return undefined
  })
  const asked = headers()
  await server.arrived(1)
  const closed = access.close()
  answer.resolve(undefined)
  t.strictSame(await closed, [])
  const stored = await ledger.grant(GRANT)
  await asked
  t.match(stored, { tokens: { expiresAt: time.now + HOUR }, intentAt: null })
})

t.test('nobody has consented yet: the error says how', async t => {
  const { ledger, headers, server } = await opened(t, tokens(1))
  await ledger.forgetGrant(GRANT)
  t.match(await failure(headers()), { code: 'GRANT_MISSING', hint: /grants consent books\/acme.*grants import books\/acme/ })
  t.equal(server.received.length, 0)
})

t.test('without a key nothing is sent', async t => {
  const server = await serve(tokens(1))
  t.teardown(() => server.close())
  const auth = provider(server.url)
  const { headers } = openAccess(t, auth, new VirtualTime(), { key: '' })
  t.match(await failure(headers()), { code: 'GRANT_KEY_INVALID', message: /HEADRACE_GRANT_KEY is not set/ })
  t.equal(server.received.length, 0)
})

t.test('a secret that is not set is told, and leaves no claim behind', async t => {
  const { ledger, path, time, server } = await opened(t, tokens(1))
  const auth = provider(server.url, { clientSecret: () => undefined })
  const { headers } = openAccess(t, auth, time, { path })
  t.match(await failure(headers()), { code: 'CONFIG_INVALID', message: /books: clientSecret is empty/ })
  t.match(await ledger.grant(GRANT), { renewing: false, intentAt: null })
})
