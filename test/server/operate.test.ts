import t, { type Test } from 'tap'
import type { Claim, Ledger } from '../../lib/ledger/ledger.ts'
import { chunksOf, PROBLEM, request, summaryOf } from '../ledger/kit.ts'
import { publish } from '../published.ts'
import { daemon } from './setup.ts'

const TOKEN = 'a-token-that-nobody-guesses'

async function started(t: Test) {
  const { server, ledger, lines } = await daemon(t, { token: TOKEN })
  const post = (path: string, body?: unknown, headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` }) =>
    fetch(server.url + path, {
      method: 'POST',
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const get = async (path: string) => (await fetch(server.url + path)).json()
  return { server, ledger, post, get, told: () => lines.filter(({ event }) => event === 'operator.action') }
}

const MAY = { pipeline: 'campaigns', from: '2026-05-01', to: '2026-05-02' }
const SERVED = { pipelines: [{ name: 'campaigns', atOnce: 100, after: [] }], perAccount: 100 }

async function claimed(ledger: Ledger): Promise<Claim> {
  const claim = await ledger.claim(SERVED, 60_000)
  if (claim === undefined || 'waitMs' in claim) throw new Error('nothing to claim')
  return claim
}

/** A chunk of `acme` that ended in a state. */
async function ended(ledger: Ledger, state: 'held' | 'failed' | 'parked' = 'held'): Promise<Claim> {
  const asked = request({ pipeline: 'campaigns', clients: ['acme'], window: { from: '2026-05-01', to: '2026-05-01' } })
  await ledger.beginRun(asked, chunksOf(asked), { served: true })
  const claim = await claimed(ledger)
  await ledger.settle(claim.attemptId, { state, problem: PROBLEM, certain: true }, summaryOf(claim))
  return claim
}

t.test('a backfill that is asked for is begun for the daemons, once, and kept', async t => {
  const { ledger, post, get, told } = await started(t)
  const first = await post('/v1/backfills', MAY)
  t.equal(first.status, 202)
  const begun = JSON.parse(await first.text())
  t.match(begun, { resumed: false, clients: 2, chunks: 4, first: [{ client: 'acme', from: '2026-05-01', to: '2026-05-01' }] })
  const again = await post('/v1/backfills', { ...MAY, clients: ['globex', 'acme'] })
  t.match(await again.json(), { run: begun.run, resumed: true, chunks: 4 })
  t.match(await get('/v1/runs'), {
    runs: [{ run: begun.run, command: 'backfill', finishedAt: null, chunks: { pending: 4 } }],
    next: null,
  })
  t.match(await claimed(ledger), { chunk: { client: 'acme', window: { from: '2026-05-02' } }, force: false }, 'a daemon takes it')
  t.match(told(), [{ action: 'backfills', who: '127.0.0.1', subject: 'campaigns, 2026-05-01 to 2026-05-02, 2 clients' }, {}])
  t.match(await ledger.actions(10), [{ who: '127.0.0.1', action: 'backfill', outcome: `run ${begun.run}` }, {}])
})

t.test('a backfill may be of some clients, of missing days, or forced', async t => {
  const { ledger, post } = await started(t)
  await publish(ledger, 'campaigns', 'acme', { from: '2026-05-01', to: '2026-05-01' })
  const missing = await post('/v1/backfills', { ...MAY, clients: ['acme'], missing: true })
  t.match(await missing.json(), { chunks: 1, first: [{ client: 'acme', from: '2026-05-02' }] })
  t.equal((await post('/v1/backfills', { ...MAY, clients: ['globex'], force: true })).status, 202)
  t.same([(await claimed(ledger)).force, (await claimed(ledger)).force], [false, true])
})

t.test('a backfill that makes no sense is refused, and nothing begins', async t => {
  const { post, get } = await started(t)
  const cases: readonly (readonly [body: unknown, status: number, message: string])[] = [
    [{ ...MAY, pipeline: 'other' }, 404, 'there is no pipeline other, only campaigns'],
    [{ ...MAY, clients: ['nobody'] }, 404, 'not in the configuration: nobody'],
    [{ ...MAY, clients: [] }, 400, 'body/clients must NOT have fewer than 1 items'],
    [{ ...MAY, to: '2026-04-30' }, 400, 'to 2026-04-30 is before from 2026-05-01'],
    [{ ...MAY, from: '2026-02-30' }, 400, 'body/from must match format "date"'],
    [{ ...MAY, from: '0001-01-01' }, 400, 'is up to 1480000 chunks, 100000 at most in one run'],
    [{ ...MAY, form: '2026-05-01' }, 400, 'body must NOT have additional properties'],
    [{ ...MAY, force: 'yes' }, 400, 'body/force must be boolean'],
    [{ pipeline: 'campaigns' }, 400, "body must have required property 'from'"],
    [[MAY], 400, 'body must be object'],
  ]
  for (const [body, status, message] of cases) {
    const response = await post('/v1/backfills', body)
    t.equal(response.status, status, message)
    const { error } = JSON.parse(await response.text())
    t.ok(error.message.includes(message.replace('1480000', error.message.match(/up to (\d+)/)?.[1] ?? '')), error.message)
  }
  t.same(await get('/v1/runs'), { runs: [], next: null })
})

t.test('a held chunk that is approved is published whatever it was held for; one that is retried is guarded again', async t => {
  for (const [action, force] of [
    ['approve', true],
    ['retry', false],
  ] as const) {
    const { ledger, post, get, told } = await started(t)
    const { runId } = await ended(ledger)
    t.match(await get('/v1/chunks?state=held'), { chunks: [{ run: runId, problem: PROBLEM }] })
    const response = await post(`/v1/chunks/${runId}/acme/2026-05-01/${action}`)
    t.equal(response.status, 202)
    t.match(await response.json(), { run: runId, client: 'acme', state: 'pending' })
    t.match(await claimed(ledger), { runId, force })
    t.match(told(), [{ action, who: '127.0.0.1', subject: 'campaigns/acme/2026-05-01', outcome: 'revived' }])
    t.match(await ledger.actions(1), [{ action, outcome: 'was held' }])
  }
})

t.test('what is not held cannot be approved, and what needs nothing cannot be retried', async t => {
  const { ledger, post, told } = await started(t)
  const { runId } = await ended(ledger, 'failed')
  const at = (action: string, client = 'acme') => post(`/v1/chunks/${runId}/${client}/2026-05-01/${action}`)
  const refused = await at('approve')
  t.equal(refused.status, 409)
  t.match(await refused.json(), { error: { message: 'campaigns/acme/2026-05-01 is failed: there is nothing to approve' } })
  t.equal((await at('retry')).status, 202)
  t.equal((await at('retry')).status, 409, 'it waits already')
  t.equal((await at('retry', 'nobody')).status, 404)
  t.match(told(), [
    { outcome: 'refused: it is failed' },
    {},
    { outcome: 'refused: it is pending' },
    { outcome: 'refused: no such chunk' },
  ])
})

t.test('without the token nothing is changed, whatever comes instead of it', async t => {
  const { ledger, post, told } = await started(t)
  const { runId } = await ended(ledger)
  const wrong = ['', TOKEN, `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`, `bearer ${TOKEN}`, `Basic ${TOKEN}`, 'Bearer ']
  for (const authorization of wrong) {
    for (const [path, body] of [
      ['/v1/backfills', MAY],
      [`/v1/chunks/${runId}/acme/2026-05-01/approve`, undefined],
      [`/v1/chunks/${runId}/acme/2026-05-01/retry`, undefined],
    ] as const) {
      const response = await post(path, body, authorization === '' ? {} : { authorization })
      t.equal(response.status, 401)
      t.match(await response.json(), { error: { code: 'UNAUTHORIZED' } })
    }
  }
  t.equal(told().length, 3 * wrong.length)
  t.match(told()[0], { action: 'backfills', who: '127.0.0.1', outcome: 'refused: without the token' })
  t.notMatch(JSON.stringify(told()), 'guesses', 'what came instead is told to nobody')
  t.same((await ledger.runs({}, 10)).length, 1)
  t.match(await ledger.chunks({}, 10), [{ state: 'held' }])
})

t.test('a server without a token changes nothing for anybody, and one whose token can be guessed does not start', async t => {
  const { server } = await daemon(t)
  for (const path of ['/v1/backfills', '/v1/chunks/a/b/2026-05-01/approve']) {
    t.equal((await fetch(server.url + path, { method: 'POST', headers: { authorization: 'Bearer undefined' } })).status, 404)
  }
  for (const token of ['', 'short', 'sixteen characters with spaces']) {
    await t.rejects(daemon(t, { token }), { code: 'CONFIG_INVALID', message: /^HEADRACE_TOKEN is not a token/ })
  }
})
