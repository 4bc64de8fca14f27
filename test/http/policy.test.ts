import t, { type Test } from 'tap'
import type { Authorization, HttpContext, HttpOptions, JsonRequest } from '../../lib/http/client.ts'
import type { ApiPolicy, Verdict } from '../../lib/http/policy.ts'
import { RetryBudget } from '../../lib/http/retry.ts'
import type { Pace, PaceRequest, TryOutcome } from '../../lib/pace/pace.ts'
import { cut, RESET, type Scripted, type Server, SILENCE, serve } from '../servers/http.ts'
import { openClient, type TestClient } from './setup.ts'

async function setup(
  t: Test,
  script: Scripted | readonly Scripted[],
  more: Partial<Pick<HttpContext, 'api' | 'pace' | 'budget'>> = {},
  options: Partial<HttpOptions> = {},
): Promise<{ server: Server; client: TestClient }> {
  const server = await serve(script)
  const client = openClient(options, undefined, more)
  t.teardown(async () => {
    await client.destroy()
    await server.close()
  })
  return { server, client }
}

const GOOD: Scripted = { body: { ok: true } }

t.test('an API says what its answers mean, by status, by text, and by the body of an answer with 200', async t => {
  const byCode: Readonly<Record<number, Verdict>> = {
    1: 'retry',
    2: 'throttled',
    3: 'too-much',
    4: 'refused',
    5: 'page-token-expired',
  }
  const api: ApiPolicy = {
    classify: ({ status, body, text }) => {
      if (status === 403 && text.includes('quota')) return 'throttled'
      const code = typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined
      return typeof code === 'number' ? byCode[code] : undefined
    },
  }
  const failures: [Scripted, string, number][] = [
    [{ body: { code: 1 } }, 'API_FAILED', 4],
    [{ body: { code: 2 } }, 'API_THROTTLED', 4],
    [{ status: 403, body: 'quota exceeded' }, 'API_THROTTLED', 4],
    [{ status: 400, body: { code: 3 } }, 'WINDOW_TOO_LARGE', 1],
    [{ body: { code: 4 } }, 'API_REFUSED', 1],
    [{ body: { code: 5 } }, 'PAGE_TOKEN_EXPIRED', 1],
    [{ status: 403, body: 'forbidden' }, 'API_REFUSED', 1],
    [{ status: 500, body: { code: 4 } }, 'API_REFUSED', 1],
  ]
  for (const [script, code, tries] of failures) {
    const { server, client } = await setup(t, script, { api })
    const error = await client.failure(server.url)
    t.match(error, { code, message: /answered \d{3} \(/ }, JSON.stringify(script))
    t.equal(server.received.length, tries)
  }
  const passing = await setup(t, [{ body: { code: 2 } }, { body: { code: 7 } }], { api })
  t.same((await passing.client.http.json(passing.server.url)).body, { code: 7 })
})

t.test('a request says what its answer means before the API is asked', async t => {
  const api: ApiPolicy = { classify: () => 'refused' }
  const { server, client } = await setup(t, { status: 425, body: { id: 'r1' } }, { api })
  const answer = await client.http.json(server.url, { classify: ({ status }) => (status === 425 ? 'ok' : undefined) })
  t.match(answer, { status: 425, body: { id: 'r1' } })
  t.match(await client.failure(server.url), { code: 'API_REFUSED' })
})

t.test('a policy may look at a body that is no JSON, and may fail, and nothing is taken for an answer then', async t => {
  const api: ApiPolicy = { classify: ({ body }) => (body === undefined ? 'retry' : undefined) }
  const html = await setup(t, [{ body: '<html>' }, GOOD], { api })
  t.same((await html.client.http.json(html.server.url)).body, { ok: true })
  const wrong = await setup(t, GOOD, {
    api: {
      classify: () => {
        throw new TypeError('no such field')
      },
    },
  })
  t.match(await wrong.client.failure(wrong.server.url), { name: 'TypeError' })
})

t.test('what changes something is sent again only when it certainly did nothing', async t => {
  const write: JsonRequest = { method: 'POST', body: {}, read: false }
  for (const [fault, code] of [
    [RESET, 'API_UNREACHABLE'],
    [cut({}), 'API_UNREACHABLE'],
    [{ status: 502 }, 'API_FAILED'],
    [{ body: '{' }, 'API_BODY_BROKEN'],
  ] as const) {
    const { server, client } = await setup(t, [fault, GOOD])
    t.match(await client.failure(server.url, write), { code })
    t.equal(server.received.length, 1)
  }
  const { server, client } = await setup(t, [{ status: 429 }, GOOD])
  t.same((await client.http.json(server.url, write)).body, { ok: true })
})

t.test('every try asks for its authorization, and a 401 gets a new one once, at no cost', async t => {
  const asked: (Authorization | undefined)[] = []
  const authorize = async ({ refused }: { refused: Authorization | undefined }): Promise<Authorization> => {
    asked.push(refused)
    return { Authorization: `Bearer ${asked.length}` }
  }
  const first = await setup(t, [{ status: 401 }, { status: 503 }, GOOD], { budget: new RetryBudget(1) }, { attempts: 2 })
  t.same((await first.client.http.json(first.server.url, { authorize })).body, { ok: true })
  t.same(asked, [undefined, { Authorization: 'Bearer 1' }, undefined])
  t.same(
    first.server.received.map(({ headers }) => headers.authorization),
    ['Bearer 1', 'Bearer 2', 'Bearer 3'],
  )
  t.equal(first.client.waits.length, 1, 'the 401 was not waited for')

  asked.length = 0
  const never = await setup(t, { status: 401, body: { error: 'who are you' } })
  t.match(await never.client.failure(never.server.url, { authorize }), { code: 'API_REFUSED', message: /who are you/ })
  t.equal(never.server.received.length, 2)
  const plain = await setup(t, { status: 401 })
  t.match(await plain.client.failure(plain.server.url), { code: 'API_REFUSED' })
  t.equal(plain.server.received.length, 1)
})

t.test('an authorization that cannot be had is the error of the request, and nothing is sent', async t => {
  const { server, client } = await setup(t, GOOD)
  const failure = new Error('no grant')
  t.equal(await client.failure(server.url, { authorize: () => Promise.reject(failure) }), failure)
  t.equal(server.received.length, 0)
})

t.test('an abort does not wait for an authorization, nor for leave', async t => {
  const { server, client } = await setup(t, GOOD)
  const never = client.failure(server.url, { authorize: () => new Promise(() => undefined) })
  client.abort.abort(new Error('enough'))
  t.match(await never, { message: 'enough' })
  t.equal(server.received.length, 0)
})

/** A pace that writes down what it was asked and told. */
function witness(): { pace: Pace; asked: PaceRequest[]; told: TryOutcome[] } {
  const asked: PaceRequest[] = []
  const told: TryOutcome[] = []
  const pace: Pace = {
    acquire: async request => {
      asked.push(request)
      return { done: outcome => told.push(outcome) }
    },
  }
  return { pace, asked, told }
}

t.test('every try waits for leave, and says once how it ended', async t => {
  const { pace, asked, told } = witness()
  const api: ApiPolicy = { left: [({ headers }) => [{ bucket: 'account', remaining: Number(headers['x-left']) }]] }
  const left = { 'x-left': '7' }
  const limits = [{ bucket: 'account', remaining: 7 }]
  const { server, client } = await setup(
    t,
    [
      RESET,
      { status: 503, headers: left },
      { status: 429, headers: { 'retry-after': '3', ...left } },
      { headers: left, body: 1 },
    ],
    { pace, api },
  )
  await client.http.json(server.url, { endpoint: 'reports', cost: 3 })
  t.same(asked, Array(4).fill({ client: 'acme', endpoint: 'reports', cost: 3 }))
  t.same(told, [
    { status: 0, outcome: 'failed' },
    { status: 503, outcome: 'failed', limits },
    { status: 429, outcome: 'throttled', waitMs: 3_000, limits },
    { status: 200, outcome: 'ok', limits },
  ])
  t.match(await client.http.json(server.url), {})
  t.same(asked.at(-1), { client: 'acme', endpoint: '', cost: 1 })
})

t.test('leave is given back when the answer is there, not when it is wanted', async t => {
  const { pace, told } = witness()
  const { server, client } = await setup(t, { body: [1] }, { pace })
  const answer = client.http.ahead(server.url)
  while (told.length === 0) await new Promise(resolve => setTimeout(resolve, 1))
  t.same(told, [{ status: 200, outcome: 'ok', limits: [] }])
  t.same((await answer()).body, [1])
  t.equal(told.length, 1)
})

t.test('a refusal says nothing against the API, and an abort says nothing at all', async t => {
  const { pace, told } = witness()
  const refused = await setup(t, { status: 404 }, { pace })
  await refused.client.failure(refused.server.url)
  t.match(told, [{ status: 404, outcome: 'ok' }])
  const given = await setup(t, SILENCE, { pace })
  const failure = given.client.failure(given.server.url)
  await given.server.arrived(1)
  given.client.abort.abort(new Error('enough'))
  await failure
  t.match(told[1], { status: 0, outcome: 'abandoned' })
})

t.test('a pace that does not give leave is the error of the request', async t => {
  const failure = new Error('parked')
  const { server, client } = await setup(t, GOOD, { pace: { acquire: () => Promise.reject(failure) } })
  t.equal(await client.failure(server.url), failure)
  t.equal(server.received.length, 0)
})

t.test('an API that is down is asked once by each, when the retries that all share are used up', async t => {
  const budget = new RetryBudget(3)
  const { server, client } = await setup(t, { status: 503, body: 'down' }, { budget })
  t.match(await client.failure(server.url), { code: 'API_FAILED' })
  t.match(await client.failure(`${server.url}/x`), {
    code: 'API_RETRIES_SPENT',
    kind: 'transient',
    message: /\/x answered 503 \(down\); not tried again, because so many requests to this API failed before/,
    cause: { code: 'API_FAILED' },
  })
  t.equal(server.received.length, 5)
})

t.test('answers earn retries, and a wait that the API asks for takes none', async t => {
  const fault: Scripted = { status: 503 }
  const flaky = await setup(t, [fault, GOOD, fault, GOOD, fault, GOOD], { budget: new RetryBudget(1) })
  for (let n = 0; n < 3; n++) t.same((await flaky.client.http.json(flaky.server.url)).body, { ok: true })
  const asked: Scripted = { status: 503, headers: { 'retry-after': '1' } }
  const patient = await setup(t, [asked, asked, asked, GOOD], { budget: new RetryBudget(0) })
  t.same((await patient.client.http.json(patient.server.url)).body, { ok: true })
})

t.test('an answer that keeps taking too long, or breaking off, means that the window is too large', async t => {
  for (const [fault, options] of [
    [SILENCE, { deadlineMs: 60 }],
    [cut({ a: 'x'.repeat(1_000) }), {}],
    [{ body: '{"records":[{"id":1},{"i' }, {}],
  ] as const) {
    const { server, client } = await setup(t, fault, {}, { heavyTries: 2, ...options })
    t.match(await client.failure(server.url), { code: 'WINDOW_TOO_LARGE', kind: 'transient', message: /, 2 times$/ })
    t.equal(server.received.length, 2)
    const once = await setup(t, [fault, GOOD], {}, { heavyTries: 2, ...options })
    t.same((await once.client.http.json(once.server.url)).body, { ok: true }, 'once is an accident')
  }
  const down = await setup(t, cut({ a: 'x'.repeat(1_000) }), { budget: new RetryBudget(0) }, { heavyTries: 1 })
  t.match(
    await down.client.failure(down.server.url),
    { code: 'API_RETRIES_SPENT' },
    'an API that is down says nothing about windows',
  )
  for (const fault of [RESET, { status: 504 }, { body: '<html>' }] as const) {
    const { server, client } = await setup(t, fault, {}, { heavyTries: 2 })
    t.match(await client.failure(server.url), { code: /^API_/ }, 'what says nothing about size is not taken for it')
    t.equal(server.received.length, 4)
  }
})
