import { deepEqual, equal, partialDeepStrictEqual as matches } from 'node:assert/strict'
import type { Ledger } from '../ledger/ledger.ts'
import type { Edge, Served } from '../ledger/served.ts'
import { chunksOf, LEASE, type LedgerCase, ledgerCase, PROBLEM, publish, request, summaryOf } from './ledger-case.ts'

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

/** What waits for other pipelines, and what comes of it. */
export const BLOCKED_CASES: readonly LedgerCase[] = [
  ledgerCase('what waits for another pipeline is known, with the days and the chunk it waits for', async ({ ledger }) => {
    await begin(ledger, { pipeline: 'q', window: { from: '2026-01-01', to: '2026-01-02' } })
    matches(await ledger.blocked('q', AFTER, 10), [
      { chunk: { client: 'a' }, upstream: 'p', missing: ['2026-01-01', '2026-01-02'], by: null },
    ])
    await begin(ledger, {})
    const upstream = await claimed(ledger)
    matches(await ledger.blocked('q', AFTER, 10), [{ by: { state: 'running', problem: null } }])
    await ledger.settle(upstream.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(upstream))
    matches(await ledger.blocked('q', AFTER, 10), [{ by: { state: 'held', problem: { code: 'API_REFUSED' } } }])
    await ledger.revive(upstream.runId, 'a', '2026-01-01', true)
    await publish(ledger, await claimed(ledger))
    matches(await ledger.blocked('q', AFTER, 10), [{ missing: ['2026-01-02'], by: null }])
    await begin(ledger, { window: { from: '2026-01-02', to: '2026-01-02' } })
    await publish(ledger, await claimed(ledger))
    deepEqual(await ledger.blocked('q', AFTER, 10), [])
    deepEqual((await claimed(ledger)).chunk.pipeline, 'q')
    deepEqual(await ledger.blocked('p', [], 10), [])
  }),

  ledgerCase(
    'a chunk that waits for days that are about to be published anew is blocked although none is missing',
    async ({ ledger }) => {
      await begin(ledger, {})
      await publish(ledger, await claimed(ledger))
      await begin(ledger, { pipeline: 'q' })
      await begin(ledger, { force: true })
      matches(await ledger.blocked('q', AFTER, 10), [{ missing: [], by: { state: 'pending' } }])
    },
  ),

  ledgerCase('chunks fail whose upstream has come to nothing, and only those', async ({ ledger }) => {
    await begin(ledger, { pipeline: 'q', clients: ['held', 'failed', 'parked', 'waiting', 'nobody'] })
    await begin(ledger, { clients: ['held', 'failed', 'parked'] })
    deepEqual(await ledger.failBlocked('q', AFTER), [], 'as long as it may still come')
    for (const state of ['failed', 'held', 'parked'] as const) {
      const claim = await claimed(ledger)
      equal(claim.chunk.client, state)
      await ledger.settle(claim.attemptId, { state, problem: PROBLEM, certain: true, notBefore: 1e15 }, summaryOf(claim))
    }
    await begin(ledger, { clients: ['waiting'] })
    matches(await ledger.failBlocked('q', AFTER), [
      { chunk: { client: 'failed' }, by: { state: 'failed' } },
      { chunk: { client: 'held' }, by: { state: 'held' } },
    ])
    deepEqual(await ledger.failBlocked('q', AFTER), [], 'once')
    matches(await ledger.problems('q', undefined, 10), [
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
    matches((await ledger.openProgress(true)).get('q'), { failed: 2, pending: 3 })
  }),

  ledgerCase('a chunk whose upstream lacks no more days than it may is not failed', async ({ ledger }) => {
    const window = { from: '2026-01-01', to: '2026-01-02' }
    await begin(ledger, { pipeline: 'q', window })
    const wanted = request({ window })
    await ledger.beginRun(wanted, chunksOf(wanted), { served: true })
    const second = await claimed(ledger)
    const first = await claimed(ledger)
    await publish(ledger, second)
    await ledger.settle(first.attemptId, { state: 'failed', problem: PROBLEM, certain: true }, summaryOf(first))
    deepEqual(await ledger.failBlocked('q', [{ pipeline: 'p', gaps: 0.5 }]), [])
    matches(await ledger.failBlocked('q', [{ pipeline: 'p', gaps: 0.4 }]), [{ missing: ['2026-01-01'] }])
  }),

  ledgerCase(
    'chunks are counted by pipeline and state until their run is finished, those that are served and the others apart',
    async ({ ledger }) => {
      await begin(ledger, { clients: ['a', 'b'] })
      const wanted = request({ clients: ['c'], pipeline: 'alone' })
      const chunks = [...chunksOf(wanted)]
      const byHand = await ledger.beginRun(wanted, chunks)
      await publish(ledger, await claimed(ledger))
      matches((await ledger.openProgress(true)).get('p'), { published: 1, pending: 1, held: 0 })
      deepEqual([...(await ledger.openProgress(false)).keys()], ['alone'])
      matches((await ledger.openProgress(false)).get('alone'), { pending: chunks.length, published: 0 })
      await publish(ledger, await claimed(ledger))
      await ledger.finishServed()
      await ledger.finishRun(byHand.id)
      deepEqual(await ledger.openProgress(true), new Map())
      deepEqual(await ledger.openProgress(false), new Map())
    },
  ),
]
