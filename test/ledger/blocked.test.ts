import t from 'tap'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { Edge, Served } from '../../lib/ledger/served.ts'
import { chunksOf, fresh, LEASE, PROBLEM, publish, request, summaryOf } from './kit.ts'

const AFTER: readonly Edge[] = [{ pipeline: 'p', gaps: 0 }]
const SERVED: Served = {
  pipelines: [
    { name: 'p', atOnce: 100, after: [] },
    { name: 'q', atOnce: 100, after: AFTER },
  ],
  perAccount: 100,
}
const DAY = { from: '2026-01-01', to: '2026-01-01' }

function begin(ledger: Ledger, more: Parameters<typeof request>[0]) {
  const wanted = request({ window: DAY, ...more })
  return ledger.beginRun(wanted, chunksOf(wanted, 3), { served: true })
}

async function claimed(ledger: Ledger) {
  const claim = await ledger.claim(SERVED, LEASE)
  if (claim === undefined || 'waitMs' in claim) throw new Error('nothing to claim')
  return claim
}

t.test('what waits for another pipeline is known, with the days and the chunk it waits for', async t => {
  const { ledger } = fresh(t)
  await begin(ledger, { pipeline: 'q', window: { from: '2026-01-01', to: '2026-01-02' } })
  t.match(await ledger.blocked('q', AFTER, 10), [
    { chunk: { client: 'a' }, upstream: 'p', missing: ['2026-01-01', '2026-01-02'], by: null },
  ])
  await begin(ledger, {})
  const upstream = await claimed(ledger)
  t.match(await ledger.blocked('q', AFTER, 10), [{ by: { state: 'running', problem: null } }])
  await ledger.settle(upstream.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(upstream))
  t.match(await ledger.blocked('q', AFTER, 10), [{ by: { state: 'held', problem: { code: 'API_REFUSED' } } }])
  await ledger.revive(upstream.runId, 'a', '2026-01-01', true)
  await publish(ledger, await claimed(ledger))
  t.match(await ledger.blocked('q', AFTER, 10), [{ missing: ['2026-01-02'], by: null }])
  await begin(ledger, { window: { from: '2026-01-02', to: '2026-01-02' } })
  await publish(ledger, await claimed(ledger))
  t.same(await ledger.blocked('q', AFTER, 10), [])
  t.same((await claimed(ledger)).chunk.pipeline, 'q')
  t.same(await ledger.blocked('p', [], 10), [])
})

t.test('a chunk that waits for days that are about to be published anew is blocked although none is missing', async t => {
  const { ledger } = fresh(t)
  await begin(ledger, {})
  await publish(ledger, await claimed(ledger))
  await begin(ledger, { pipeline: 'q' })
  await begin(ledger, { force: true })
  t.match(await ledger.blocked('q', AFTER, 10), [{ missing: [], by: { state: 'pending' } }])
})

t.test('chunks fail whose upstream has come to nothing, and only those', async t => {
  const { ledger } = fresh(t)
  await begin(ledger, { pipeline: 'q', clients: ['held', 'failed', 'parked', 'waiting', 'nobody'] })
  await begin(ledger, { clients: ['held', 'failed', 'parked'] })
  t.same(await ledger.failBlocked('q', AFTER), [], 'as long as it may still come')
  for (const state of ['failed', 'held', 'parked'] as const) {
    const claim = await claimed(ledger)
    t.equal(claim.chunk.client, state)
    await ledger.settle(claim.attemptId, { state, problem: PROBLEM, certain: true, notBefore: 1e15 }, summaryOf(claim))
  }
  await begin(ledger, { clients: ['waiting'] })
  t.match(await ledger.failBlocked('q', AFTER), [
    { chunk: { client: 'failed' }, by: { state: 'failed' } },
    { chunk: { client: 'held' }, by: { state: 'held' } },
  ])
  t.same(await ledger.failBlocked('q', AFTER), [], 'once')
  t.match(await ledger.problems('q', undefined, 10), [
    {
      chunk: { client: 'held' },
      state: 'failed',
      problem: {
        code: 'UPSTREAM_UNPUBLISHED',
        message: 'q/held/2026-01-01: p has not published 2026-01-01: held there, API_REFUSED',
      },
    },
    { chunk: { client: 'failed' }, state: 'failed' },
  ])
  t.match((await ledger.servedProgress()).get('q'), { failed: 2, pending: 3 })
})

t.test('a chunk whose upstream lacks no more days than it may is not failed', async t => {
  const { ledger } = fresh(t)
  const window = { from: '2026-01-01', to: '2026-01-02' }
  await begin(ledger, { pipeline: 'q', window })
  const wanted = request({ window })
  await ledger.beginRun(wanted, chunksOf(wanted), { served: true })
  const second = await claimed(ledger)
  const first = await claimed(ledger)
  await publish(ledger, second)
  await ledger.settle(first.attemptId, { state: 'failed', problem: PROBLEM, certain: true }, summaryOf(first))
  t.same(await ledger.failBlocked('q', [{ pipeline: 'p', gaps: 0.5 }]), [])
  t.match(await ledger.failBlocked('q', [{ pipeline: 'p', gaps: 0.4 }]), [{ missing: ['2026-01-01'] }])
})

t.test('what is served is counted by pipeline and state, until its run is finished', async t => {
  const { ledger } = fresh(t)
  await begin(ledger, { clients: ['a', 'b'] })
  await publish(ledger, await claimed(ledger))
  t.match((await ledger.servedProgress()).get('p'), { published: 1, pending: 1, held: 0 })
  await publish(ledger, await claimed(ledger))
  await ledger.finishServed()
  t.same(await ledger.servedProgress(), new Map())
})
