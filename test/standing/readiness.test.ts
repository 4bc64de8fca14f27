import t, { type Test } from 'tap'
import type { Window } from '../../lib/chunk.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { Serving } from '../../lib/ledger/served.ts'
import { type Readiness, type ReadinessQuestion, readiness } from '../../lib/standing/readiness.ts'
import { chunksOf, fresh, PROBLEM, request, stage, summaryOf } from '../ledger/kit.ts'
import { leaveOpen, publish } from '../published.ts'
import { AdsApi, adsPipeline } from '../support/ads.ts'

const daily = { name: 'daily', cron: '0 6 * * *', lookbackDays: 2 }
const pipeline = { ...adsPipeline(new AdsApi().connector(10)), schedule: [daily] }
const NAME = pipeline.name
const NOON = Date.UTC(2026, 0, 5, 12)

const window = (from: number, to = from): Window => ({ from: `2026-01-0${from}`, to: `2026-01-0${to}` })

/** What is said of the clients `a` and `b`, or those given. */
function ask(ledger: Ledger, question: Partial<ReadinessQuestion> = {}, clients = ['a', 'b']): Promise<Readiness> {
  const declared = { pipeline, schemaHash: 'hash', clients: clients.map(id => ({ id, timeZone: 'UTC' })) }
  return readiness(declared, { through: '2026-01-04', ...question }, ledger, NOON)
}

/** Begins a run of one day per chunk. */
async function begin(ledger: Ledger, client: string, days: Window, serving: Serving = { served: true }): Promise<string> {
  const asked = request({ pipeline: NAME, clients: [client], window: days, command: 'schedule' })
  const run = await ledger.beginRun(asked, chunksOf(asked), serving)
  if (run === undefined) throw new Error('nothing began')
  return run.id
}

/** Takes the newest chunk that is served, and says how it ended. */
async function settle(ledger: Ledger, state: 'published' | 'held' | 'failed'): Promise<void> {
  const pipelines = [{ name: NAME, atOnce: 100, after: [] }]
  const claim = await ledger.claim({ pipelines, perAccount: 100 }, 60_000)
  if (claim === undefined || 'waitMs' in claim) throw new Error('nothing to claim')
  const summary = summaryOf(claim)
  if (state !== 'published') return await ledger.settle(claim.attemptId, { state, problem: PROBLEM, certain: true }, summary)
  await stage(ledger, claim, summary)
  await ledger.committing([claim.attemptId])
  await ledger.published(claim.attemptId, summary, [])
}

async function both(t: Test): Promise<Ledger> {
  const { ledger } = fresh(t)
  for (const client of ['a', 'b']) await publish(ledger, NAME, client, window(1, 4))
  return ledger
}

t.test('a table of which every client has every day is ready, and it is said since when', async t => {
  const ledger = await both(t)
  await publish(ledger, NAME, 'b', window(5), 1, { requests: 1, startedAt: 1, finishedAt: NOON })
  const found = await ask(ledger)
  t.match(found, { dataset: 'ads.campaigns', client: null, ready: true, complete: true, validated: true })
  t.match(found, { completeThrough: '2026-01-04', schemaHash: 'hash', nextExpectedAt: '2026-01-06T06:00:00.000Z' })
  t.same(found.coverage, { clients: { required: 2, complete: 2 }, days: { published: 8, doubtful: 0 }, missing: [] })
  t.equal(found.publishedAt, '1970-01-01T00:00:00.002Z', 'what was published of later days does not count')
  t.match(found.runId, /^[\w-]{36}$/)
  t.match(await ask(ledger, { client: 'b' }), {
    client: 'b',
    completeThrough: '2026-01-05',
    coverage: { days: { published: 4 } },
  })
  t.match(await ask(ledger, { client: 'b', through: '2026-01-05' }), { ready: true, publishedAt: new Date(NOON).toISOString() })
})

t.test('a client that was never read keeps the table from being ready, and nobody else', async t => {
  const ledger = await both(t)
  const found = await ask(ledger, {}, ['a', 'b', 'c'])
  t.match(found, { ready: false, complete: false, validated: true, final: false, completeThrough: null, finalThrough: null })
  t.same(found.coverage.clients, { required: 3, complete: 2 })
  t.same(found.coverage.missing, [{ client: 'c', from: null, to: '2026-01-04' }])
  t.match(await ask(ledger, { client: 'a' }, ['a', 'b', 'c']), { ready: true })
})

t.test('a day that is missing in between, or at the end, is named', async t => {
  const { ledger } = fresh(t)
  await publish(ledger, NAME, 'a', window(1))
  await publish(ledger, NAME, 'a', window(3))
  await publish(ledger, NAME, 'b', window(1, 2))
  const found = await ask(ledger)
  t.match(found, { ready: false, completeThrough: '2026-01-01' })
  t.same(found.coverage.missing, [
    { client: 'a', ...window(2) },
    { client: 'a', ...window(4) },
    { client: 'b', ...window(3, 4) },
  ])
  t.match(await ask(ledger, { through: '2026-01-01' }), { ready: true })
  const far = await ask(ledger, { client: 'b', through: '9999-12-31' })
  t.same(far.coverage.missing, [{ client: 'b', from: '2026-01-03', to: '9999-12-31' }])
})

t.test('days that were asked for are waited for, although later ones are published first', async t => {
  const { ledger } = fresh(t)
  await begin(ledger, 'a', window(2, 4))
  await settle(ledger, 'published')
  t.match(await ask(ledger, {}, ['a']), { ready: false, completeThrough: null, coverage: { missing: [window(2, 3)] } })
  await settle(ledger, 'published')
  t.match(await ask(ledger, {}, ['a']), { ready: false, coverage: { missing: [window(2)] } })
  await settle(ledger, 'failed')
  t.match(await ask(ledger, {}, ['a']), { ready: false, validated: true, coverage: { missing: [window(2)] } })
  await publish(ledger, NAME, 'a', window(2))
  t.match(await ask(ledger, {}, ['a']), { ready: true, completeThrough: '2026-01-04' })
})

t.test('a client whose first day is later does not count, and a day before everybody is never ready', async t => {
  const ledger = await both(t)
  await begin(ledger, 'c', window(3, 4))
  t.match(await ask(ledger, { through: '2026-01-02' }, ['a', 'c']), { ready: true, coverage: { clients: { required: 1 } } })
  t.match(await ask(ledger, { through: '2026-01-03' }, ['a', 'c']), { ready: false, coverage: { clients: { required: 2 } } })
  const none = await ask(ledger, { through: '2025-01-04' })
  t.match(none, { ready: false, complete: false, final: false, completeThrough: null, publishedAt: null, runId: null })
})

t.test('days that are read again stay complete while they are read', async t => {
  const ledger = await both(t)
  await begin(ledger, 'a', window(3, 4))
  t.match(await ask(ledger), { ready: true, final: false })
  await settle(ledger, 'published')
  await settle(ledger, 'failed')
  t.match(await ask(ledger), { ready: true, validated: true })
})

t.test('a day that is held is not validated, until it is published', async t => {
  const ledger = await both(t)
  await begin(ledger, 'b', window(3))
  await settle(ledger, 'held')
  const found = await ask(ledger)
  t.match(found, { ready: false, complete: true, validated: false, final: false, finalThrough: null })
  t.same(found.held, [{ client: 'b', ...window(3), code: 'API_REFUSED' }])
  t.match(await ask(ledger, { through: '2026-01-02' }), { ready: true }, 'earlier days are')
  t.match(await ask(ledger, { client: 'a' }), { ready: true, held: [] })
  await publish(ledger, NAME, 'b', window(3))
  t.match(await ask(ledger), { ready: true, held: [] })
})

t.test('a day whose last commit was interrupted is complete, and not final', async t => {
  const ledger = await both(t)
  await begin(ledger, 'a', window(5), { occasions: [{ schedule: 'daily', client: 'a', at: NOON }] })
  await leaveOpen(ledger, NAME, 'a', window(2))
  t.match(await ask(ledger, { client: 'a' }), { ready: true, final: false, coverage: { days: { published: 4, doubtful: 1 } } })
})

t.test('days are final once no schedule looks back to them, and nothing is under way', async t => {
  const ledger = await both(t)
  t.match(await ask(ledger, { client: 'a' }), { ready: true, final: false, finalThrough: null }, 'it was never due')
  const sixAm = Date.UTC(2026, 0, 5, 6)
  await begin(ledger, 'a', window(4), { served: true, occasions: [{ schedule: 'daily', client: 'a', at: sixAm }] })
  t.match(await ask(ledger, { client: 'a', through: '2026-01-03' }), { final: true, finalThrough: '2026-01-03' })
  t.match(await ask(ledger, { client: 'a' }), { final: false })
  await settle(ledger, 'published')
  // The next occasion, on the 6th, reads the 4th and the 5th again.
  t.match(await ask(ledger, { client: 'a' }), { final: false, finalThrough: '2026-01-03' })
  t.match(await ask(ledger, { through: '2026-01-03' }), { final: false }, 'b was never due')
})

t.test('however many clients there are, the ledger is asked a few questions', async t => {
  const { ledger } = fresh(t)
  const clients = Array.from({ length: 30 }, (_, index) => `client-${index}`)
  for (const client of clients) {
    await publish(ledger, NAME, client, window(1))
    await publish(ledger, NAME, client, window(3, 4))
  }
  let questions = 0
  const counting = new Proxy(ledger, {
    get: (target, name, receiver) => {
      questions++
      return Reflect.get(target, name, receiver)
    },
  })
  t.match(await ask(counting, { through: '2026-01-01' }, clients), { ready: true, coverage: { clients: { complete: 30 } } })
  t.ok(questions < 10, `${questions}`)
  const found = await ask(ledger, {}, clients)
  t.equal(found.coverage.missing.length, 20, 'and of what is missing, a few are named')
  t.match(found.coverage.clients, { required: 30, complete: 0 })
})
