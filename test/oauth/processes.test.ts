import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { clientCredentials, type Rotation } from '../../lib/oauth/oauth.ts'
import { imported } from '../../lib/oauth/tokens.ts'
import { type Server, serve } from '../servers/http.ts'
import { startTokenServer, type TokenServer } from '../servers/oidc.ts'
import { failure, KEY, type Opened, openAccess, provider, VirtualTime } from './kit.ts'

const GRANT = 'books/acme'
const GRACE: Rotation = { graceSeconds: 1_800 }

/** A ledger with a grant that some token server has issued. */
async function granted(
  t: Test,
  tokens: TokenServer,
  rotation: Rotation,
  tokenUrl = tokens.tokenUrl,
): Promise<Opened & { readonly time: VirtualTime }> {
  const time = new VirtualTime()
  // Other processes share the ledger, and their clock is the real one.
  time.now = Date.now()
  const auth = provider(tokenUrl, { rotation })
  const it = openAccess(t, auth, time)
  await it.ledger.putGrant(GRANT, imported(it.access.seal, auth, GRANT, await tokens.issue(), time.now))
  return { ...it, time }
}

interface Child {
  readonly process: ChildProcess
  line(): Promise<string>
  go(): void
}

async function child(t: Test, role: 'ask' | 'die', path: string, tokenUrl: string, callers: number): Promise<Child> {
  const args = [join(import.meta.dirname, 'child.ts'), role, path, tokenUrl, KEY, String(callers)]
  const spawned = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => spawned.kill('SIGKILL'))
  const lines = createInterface({ input: spawned.stdout })[Symbol.asyncIterator]()
  const line = async (): Promise<string> => String((await lines.next()).value)
  t.equal(await line(), 'ready')
  return { process: spawned, line, go: () => void spawned.stdin.write('go\n') }
}

/** A server in front of a token server; what it gets it answers as the test says, at the earliest when that one has answered. */
async function before(
  t: Test,
  tokens: TokenServer,
  hold: Promise<unknown>,
): Promise<Server & { readonly answered: Promise<void> }> {
  const answered = Promise.withResolvers<void>()
  const server = await serve(({ headers, body }, response) => {
    const { authorization = '', 'content-type': type = '' } = headers
    void fetch(tokens.tokenUrl, { method: 'POST', headers: { authorization, 'content-type': type }, body }).then(async answer => {
      const text = await answer.text()
      answered.resolve()
      await hold
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text)
    })
    return undefined
  })
  t.teardown(() => server.close())
  return { ...server, answered: answered.promise }
}

t.test('50 callers in each of 4 processes and one expiry make exactly one request for tokens', async t => {
  const tokens = await startTokenServer(t, { graceSeconds: 0 })
  const { path } = await granted(t, tokens, 'strict')
  const children = await Promise.all(Array.from({ length: 4 }, () => child(t, 'ask', path, tokens.tokenUrl, 50)))
  for (const { go } of children) go()
  const given = (await Promise.all(children.map(({ line }) => line()))).flatMap(line => JSON.parse(line) as string[])
  t.equal(given.length, 200)
  t.equal(new Set(given).size, 1)
  t.equal(await tokens.valid(given[0]?.replace('Bearer ', '') ?? ''), true)
  t.same(await tokens.counts(), { granted: 1, refused: 0, revoked: 0 })
})

/** Has a process killed between the answer of the token server and the ledger. */
async function killed(t: Test, tokens: TokenServer, path: string): Promise<void> {
  const { process, line, go } = await child(t, 'die', path, tokens.tokenUrl, 1)
  go()
  t.equal(await line(), 'answered')
  process.kill('SIGKILL')
  await once(process, 'exit')
}

t.test('killed between answer and ledger, a grant of a strict server is over: consent again', async t => {
  const tokens = await startTokenServer(t, { graceSeconds: 0 })
  const { headers, ledger, path, time } = await granted(t, tokens, 'strict')
  await killed(t, tokens, path)
  time.now = Date.now()
  t.match(await failure(headers()), { code: 'TOKEN_UNAVAILABLE', notBefore: Number }, 'first it rests')
  time.advance(180_000)
  t.match(await failure(headers()), {
    code: 'GRANT_REFUSED',
    message: /invalid_grant.*an earlier answer was lost at .* UTC/,
    hint: /consent again/,
  })
  t.match(await ledger.grant(GRANT), { refusal: String })
  t.same(await tokens.counts(), { granted: 1, refused: 1, revoked: 1 })
  t.match(await failure(headers()), { code: 'GRANT_REFUSED' })
  t.match(await tokens.counts(), { refused: 1 }, 'it is not asked again')
})

t.test('killed between answer and ledger, a grant of a server with grace heals', async t => {
  const tokens = await startTokenServer(t, { graceSeconds: 1_800 })
  const { headers, path, time } = await granted(t, tokens, GRACE)
  await killed(t, tokens, path)
  time.now = Date.now()
  const { authorization = '' } = await headers()
  t.equal(await tokens.valid(authorization.replace('Bearer ', '')), true)
  t.same(await tokens.counts(), { granted: 2, refused: 0, revoked: 0 })
})

t.test('a server that rotates and then stalls for 70 s is waited for, even if it is strict', async t => {
  const tokens = await startTokenServer(t, { graceSeconds: 0 })
  const late = Promise.withResolvers<undefined>()
  const front = await before(t, tokens, late.promise)
  const { headers, time } = await granted(t, tokens, 'strict', `${front.url}/token`)
  const asked = headers()
  await front.answered
  time.advance(70_000)
  late.resolve(undefined)
  const { authorization = '' } = await asked
  t.equal(await tokens.valid(authorization.replace('Bearer ', '')), true)
  t.same(await tokens.counts(), { granted: 1, refused: 0, revoked: 0 })
})

t.test('a server that rotates and stalls for longer ends a strict grant, and not one with grace', async t => {
  const never = new Promise<undefined>(() => undefined)
  const strict = await startTokenServer(t, { graceSeconds: 0 })
  const grace = await startTokenServer(t, { graceSeconds: 1_800 })
  for (const [tokens, rotation] of [
    [strict, 'strict'],
    [grace, GRACE],
  ] as const) {
    const front = await before(t, tokens, never)
    const { headers, time, path, ledger } = await granted(t, tokens, rotation, `${front.url}/token`)
    const asked = failure(headers())
    await front.answered
    time.advance(90_000)
    t.match(await asked, { code: 'TOKEN_UNAVAILABLE', message: /did not answer within 90 s/ })
    t.match(await ledger.grant(GRANT), { refusal: null }, 'a timeout ends no grant')
    time.advance(180_000)
    const next = openAccess(t, provider(tokens.tokenUrl, { rotation }), time, { path, owner: 'next' })
    if (rotation === 'strict')
      t.match(await failure(next.headers()), { code: 'GRANT_REFUSED', message: /an earlier answer was lost/ })
    else t.match(await next.headers(), { authorization: /^Bearer / })
  }
})

t.test('tokens of the application itself are shared as well', async t => {
  const tokens = await startTokenServer(t, { graceSeconds: 0 })
  const auth = clientCredentials({
    provider: 'books',
    tokenUrl: tokens.tokenUrl,
    clientId: 'headrace',
    clientSecret: () => 'planted-client-secret',
  })
  const time = new VirtualTime()
  const { headers, path, ledger } = openAccess(t, auth, time)
  const first = await headers()
  t.strictSame(await openAccess(t, auth, time, { path, owner: 'other' }).headers(), first)
  t.match(await ledger.grants(), [{ name: 'books/app' }])
  t.same(await tokens.counts(), { granted: 1, refused: 0, revoked: 0 })
})
