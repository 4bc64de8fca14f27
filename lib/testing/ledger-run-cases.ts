import { deepEqual, equal, notEqual, ok, partialDeepStrictEqual } from 'node:assert/strict'
import { ownerOf } from '../ledger/owner.ts'
import {
  begin,
  chunksOf,
  claimOf,
  GONE,
  LEASE,
  type LedgerCase,
  ledgerCase,
  PROBLEM,
  publish,
  publishAll,
  request,
  stage,
  summaryOf,
} from './ledger-case.ts'

/** Beginning runs, and taking their chunks. */
export const RUN_CASES: readonly LedgerCase[] = [
  ledgerCase('a run is taken up where it was left, and begins anew once it is finished', async ({ ledger, clock }) => {
    const first = await begin(ledger)
    partialDeepStrictEqual(first, { resumed: false, startedAt: clock.now })
    await publish(ledger, await claimOf(ledger, first))
    clock.now += 1_000
    const second = await begin(ledger)
    deepEqual(second, { ...first, resumed: true })
    partialDeepStrictEqual(await ledger.progress(first.id), { published: 1, pending: 2 })
    equal(await publishAll(ledger, second), 2)
    equal(await ledger.claim(first.id, LEASE), undefined)
    equal(await ledger.lastFinished('p'), undefined)
    await ledger.finishRun(first.id)
    equal(await ledger.lastFinished('p'), clock.now)
    const third = await begin(ledger)
    equal(third.resumed, false)
    notEqual(third.id, first.id)
    partialDeepStrictEqual(await ledger.progress(third.id), { published: 0, pending: 3 })
  }),
  ledgerCase('the same request is the same run, in whatever order it names the clients', async ({ ledger }) => {
    const { id } = await begin(ledger, { clients: ['b', 'a', 'c'] })
    partialDeepStrictEqual(await begin(ledger, { clients: ['c', 'b', 'a'] }), { id, resumed: true })
    for (const other of [
      { clients: ['a', 'b'] },
      { clients: ['a', 'b', 'c'], force: true },
      { clients: ['a', 'b', 'c'], missing: true },
      { clients: ['a', 'b', 'c'], pipeline: 'q' },
      { clients: ['a', 'b', 'c'], window: { from: '2026-01-01', to: '2026-01-02' } },
      { clients: ['a","b', 'c'] },
    ]) {
      equal((await begin(ledger, other)).resumed, false, JSON.stringify(other))
    }
  }),
  ledgerCase(
    'taking up a run gives another chance to everything that did not work out, and to nothing else',
    async ({ ledger, clock }) => {
      const clients = ['failed', 'held', 'parked', 'pending', 'published', 'running', 'unchanged']
      const run = await begin(ledger, { clients, window: { from: '2026-01-01', to: '2026-01-01' } })
      for (const client of clients) {
        const claim = await claimOf(ledger, run)
        equal(claim.chunk.client, client)
        const notBefore = clock.now + 500_000
        if (client === 'published') await publish(ledger, claim)
        else if (client === 'unchanged') {
          await stage(ledger, claim)
          await ledger.unchanged(claim.attemptId, summaryOf(claim))
        } else if (client !== 'running') {
          const state = client as 'failed' | 'held' | 'parked' | 'pending'
          await ledger.settle(claim.attemptId, { state, problem: PROBLEM, certain: false, notBefore }, summaryOf(claim))
        }
      }
      deepEqual(await ledger.claim(run.id, LEASE), { waitMs: 500_000 })
      await begin(ledger, { clients, window: { from: '2026-01-01', to: '2026-01-01' } })
      partialDeepStrictEqual(await ledger.progress(run.id), {
        pending: 4,
        published: 1,
        unchanged: 1,
        running: 1,
        held: 0,
        failed: 0,
        parked: 0,
      })
      for (let count = 0; count < 4; count++) equal((await claimOf(ledger, run)).attempt, 1, 'tries are counted anew')
    },
  ),
  ledgerCase('chunks are claimed oldest day first, and tries are counted', async ({ ledger }) => {
    const run = await begin(ledger, { clients: ['b', 'a'], window: { from: '2026-01-01', to: '2026-01-02' } })
    const order = []
    for (let count = 0; count < 4; count++) order.push(await claimOf(ledger, run))
    deepEqual(
      order.map(({ chunk, attempt }) => `${chunk.client} ${chunk.window.from} ${attempt}`),
      ['a 2026-01-01 1', 'b 2026-01-01 1', 'a 2026-01-02 1', 'b 2026-01-02 1'],
    )
    equal(await ledger.claim(run.id, LEASE), undefined, 'what is left is under way in this process')
    const [first] = order
    if (first === undefined) return
    await ledger.settle(first.attemptId, { state: 'pending', problem: PROBLEM, certain: false }, summaryOf(first))
    partialDeepStrictEqual(await claimOf(ledger, run), { attempt: 2, chunk: first.chunk })
  }),
  ledgerCase('a chunk that failed is not tried before its time', async ({ ledger, clock }) => {
    const run = await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-01' } })
    for (const state of ['pending', 'parked'] as const) {
      const claim = await claimOf(ledger, run)
      await ledger.settle(
        claim.attemptId,
        { state, problem: PROBLEM, certain: false, notBefore: clock.now + 1_000.25 },
        summaryOf(claim),
      )
      deepEqual(await ledger.claim(run.id, LEASE), state === 'pending' ? { waitMs: 1_001 } : undefined)
      clock.now += 1_001
    }
    equal((await claimOf(ledger, run)).attempt, 3)
  }),
  ledgerCase('days of a client that one run works on are kept from every other run', async ({ ledger, clock }) => {
    const window = { from: '2026-01-04', to: '2026-01-06' }
    const run = await begin(ledger, { window }, 3)
    const claim = await claimOf(ledger, run)
    for (const [from, to, client, free] of [
      ['2026-01-01', '2026-01-04', 'a', false],
      ['2026-01-06', '2026-01-09', 'a', false],
      ['2026-01-05', '2026-01-05', 'a', false],
      ['2026-01-01', '2026-01-31', 'a', false],
      ['2026-01-01', '2026-01-03', 'a', true],
      ['2026-01-07', '2026-01-09', 'a', true],
      ['2026-01-04', '2026-01-06', 'A', true],
      ['2026-01-04', '2026-01-06', 'a ', true],
    ] as const) {
      const other = await begin(ledger, { window: { from, to }, clients: [client] }, 31)
      const got = await ledger.claim(other.id, LEASE)
      equal(got !== undefined && 'chunk' in got, free, `${client} ${from} ${to}`)
      if (!free) deepEqual(got, { waitMs: 500 })
    }
    const elsewhere = await begin(ledger, { pipeline: 'q', window }, 3)
    await claimOf(ledger, elsewhere)
    await publish(ledger, claim)
    clock.now += 2 * LEASE
    const blocked = await begin(ledger, { window: { from: '2026-01-05', to: '2026-01-05' } })
    await claimOf(ledger, blocked)
  }),
  ledgerCase('a lease of a living process is taken over only after it ran out', async ({ ledger, another, clock }) => {
    // The first process of a host always lives.
    const other = another(ownerOf(1))
    const run = await begin(ledger)
    const taken = await claimOf(other, run)
    const mine = [await claimOf(ledger, run), await claimOf(ledger, run)]
    deepEqual(await ledger.claim(run.id, LEASE), { waitMs: 500 })
    ok((await ledger.aliveAttempts()).has(taken.attemptId))
    clock.now += LEASE - 1
    deepEqual(await ledger.claim(run.id, LEASE), { waitMs: 500 })
    deepEqual(
      await ledger.renew(
        mine.map(({ attemptId }) => attemptId),
        LEASE,
      ),
      [],
    )
    clock.now += 1
    deepEqual([...(await ledger.aliveAttempts())].sort(), mine.map(({ attemptId }) => attemptId).sort())
    partialDeepStrictEqual(await claimOf(ledger, run), { chunk: taken.chunk, attempt: 2 })
    deepEqual(await other.renew([taken.attemptId], LEASE), [taken.attemptId], 'it learns that it lost its lease')
  }),
  ledgerCase('a lease of a dead process is taken over at once', async ({ ledger, another }) => {
    const reused = `${ownerOf().split(' ').slice(0, 2).join(' ')} 1`
    for (const owner of process.platform === 'linux' ? [GONE, reused] : [GONE]) {
      const dead = another(owner)
      const run = await begin(ledger, { clients: [owner] })
      const taken = await claimOf(dead, run)
      ok(!(await ledger.aliveAttempts()).has(taken.attemptId))
      partialDeepStrictEqual(await claimOf(ledger, run), { chunk: taken.chunk, attempt: 2 }, owner)
    }
  }),
  ledgerCase('a renewed lease lasts', async ({ ledger, another, clock }) => {
    const other = another('elsewhere 1 1')
    const run = await begin(other, { window: { from: '2026-01-01', to: '2026-01-01' } })
    const claim = await claimOf(other, run)
    for (let beat = 0; beat < 5; beat++) {
      clock.now += LEASE / 2
      deepEqual(await other.renew([claim.attemptId], LEASE), [])
      deepEqual(await ledger.claim(run.id, LEASE), { waitMs: 500 })
    }
    deepEqual(await other.renew([], LEASE), [])
    deepEqual(await other.renew(['unknown'], LEASE), ['unknown'])
  }),
  {
    title: 'generations only grow, also when the clock goes back, and in a ledger that begins anew',
    run: async open => {
      const host = await open()
      const { ledger, clock } = host
      const lost = await open(clock.now + 60_001)
      try {
        const run = await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-09' } })
        const generations = []
        for (const step of [0, 0, 5_000, -60_000, 0, 100_000]) {
          clock.now += step
          generations.push((await claimOf(ledger, run)).generation)
        }
        deepEqual(
          generations,
          [...new Set(generations)].sort((a, b) => a - b),
        )
        const again = await claimOf(lost.ledger, await begin(lost.ledger))
        ok(again.generation > Math.max(...generations))
      } finally {
        await host.close()
        await lost.close()
      }
    },
  },
  ledgerCase('client ids mean nothing to the database', async ({ ledger }) => {
    const clients = ["o'brien", '"; DROP TABLE chunk; --', 'a', 'A', 'a ', 'a\nb', '%', '_', 'ä', '', 'x'.repeat(100_000)]
    const wanted = request({ clients, window: { from: '2026-01-01', to: '2026-01-01' } })
    const run = await ledger.beginRun(wanted, chunksOf(wanted))
    equal(await publishAll(ledger, run), clients.length)
    deepEqual(await ledger.clients('p'), [...clients].sort())
    for (const client of clients) equal((await ledger.allDays('p', client)).length, 1)
  }),
]
