import { deepEqual, equal, partialDeepStrictEqual as matches } from 'node:assert/strict'
import {
  begin,
  claimOf,
  day,
  LEASE,
  type LedgerCase,
  ledgerCase,
  PROBLEM,
  publish,
  request,
  stage,
  summaryOf,
} from './ledger-case.ts'

/** What the ledger tells, and lists. */
export const READ_CASES: readonly LedgerCase[] = [
  ledgerCase('a ledger in which nothing has happened tells that of everything', async ({ ledger }) => {
    const window = { from: '2026-01-01', to: '2026-01-02' }
    for (const list of [
      ledger.occasions('p'),
      ledger.waiting('p'),
      ledger.chunksLeft('r'),
      ledger.days('p', 'a', window),
      ledger.allDays('p', 'a'),
      ledger.clients('p'),
      ledger.problems('p', undefined, 9),
      ledger.drifts('p', 9),
      ledger.restatements('p', 9),
      ledger.extentsUpTo('p', '2026-01-01'),
      ledger.chunks({}, 9),
      ledger.runs({}, 9),
      ledger.actions(9),
      ledger.grants(),
    ]) {
      deepEqual(await list, [])
    }
    equal(await ledger.openRun(request()), undefined)
    equal(await ledger.lastFinished('p'), undefined)
    equal(await ledger.publishedBy('p', 'a', '2026-01-01'), null)
    equal(await ledger.claim('r', LEASE), undefined)
    equal(await ledger.finishServed(), 0)
    equal(await ledger.revive('r', 'a', '2026-01-01', false), false)
    deepEqual(await ledger.aliveAttempts(), new Set())
    deepEqual(await ledger.publishedDays('p'), new Map())
    deepEqual(await ledger.undone('p'), new Map())
    deepEqual(await ledger.totals('r'), { states: {}, emptyChunks: 0, restatedDays: 0 })
    deepEqual(await ledger.history('p'), { rowsPerDay: new Map(), chunks: [] })
  }),
  ledgerCase('where every record went is summed exactly, over all chunks and however many there were', async ({ ledger }) => {
    const run = await begin(ledger, { clients: ['a', 'b'] })
    const huge = 4_000_000_000_000_000
    const rows = {
      extracted: huge,
      staged: huge,
      rejected: 1,
      deduplicated: 2,
      deleted: 3,
      inserted: huge,
      present: huge,
      previous: null,
    }
    await publish(ledger, await claimOf(ledger, run), { rows })
    await publish(ledger, await claimOf(ledger, run), { rows })
    await publish(ledger, await claimOf(ledger, run), { days: [day('2026-01-02', 0)] })
    const failed = await claimOf(ledger, run)
    await ledger.settle(failed.attemptId, { state: 'failed', problem: PROBLEM, certain: true }, summaryOf(failed))
    const totals = await ledger.totals(run.id)
    matches(totals.states.published, {
      chunks: 3,
      extracted: 2 * huge,
      staged: 2 * huge,
      rejected: 2,
      deduplicated: 4,
      deleted: 6,
    })
    matches(totals.states.failed, { chunks: 1, staged: 1 })
    equal(totals.emptyChunks, 1)
  }),
  ledgerCase('the middle of the newest days is known of each client, and the newest chunks of all', async ({ ledger }) => {
    const run = await begin(ledger, { clients: ['a'], window: { from: '2026-01-01', to: '2026-01-30' } })
    for (let index = 0; index < 30; index++) {
      const claim = await claimOf(ledger, run)
      await publish(ledger, claim, { days: [day(claim.chunk.window.from, index)] })
    }
    const { rowsPerDay, chunks } = await ledger.history('p')
    deepEqual(rowsPerDay, new Map([['a', 15.5]]))
    equal(chunks.length, 30)
    matches(chunks[0], { days: 1, requests: 1 })
  }),
  ledgerCase('restatements are listed newest first, and counted with the run that found them', async ({ ledger }) => {
    await publish(ledger, await claimOf(ledger, await begin(ledger, {}, 3)))
    const run = await begin(ledger, { force: true }, 3)
    const claim = await claimOf(ledger, run)
    const of = { pipeline: 'p', client: 'a', added: 2, removed: 1, rowsBefore: 1, rowsAfter: 2 }
    const totals = { totalsBefore: { cost: '1.5' }, totalsAfter: { cost: '2.5' } }
    const restatements = ['2026-01-01', '2026-01-03'].map((day, index) => ({ ...of, ...totals, day, at: index }))
    await stage(ledger, claim)
    await ledger.committing([claim.attemptId])
    await ledger.published(claim.attemptId, summaryOf(claim), restatements)
    deepEqual(await ledger.restatements('p', 9), restatements.toReversed())
    deepEqual(await ledger.restatements('p', 1), restatements.slice(1))
    equal((await ledger.totals(run.id)).restatedDays, 2)
  }),
  ledgerCase('chunks and runs are listed page by page, each once', async ({ ledger, clock }) => {
    const first = await begin(ledger, { clients: ['a', 'b'] })
    clock.now++
    const second = await begin(ledger, { pipeline: 'q' })
    await publish(ledger, await claimOf(ledger, second))
    await ledger.finishRun(second.id)
    const all = await ledger.chunks({}, 99)
    equal(all.length, 9)
    const paged = []
    for (let behind: Parameters<typeof ledger.chunks>[2]; ; ) {
      const page = await ledger.chunks({}, 4, behind)
      paged.push(...page)
      const last = page.at(-1)
      if (last === undefined) break
      behind = [last.runId, last.chunk.client, last.chunk.window.from]
    }
    deepEqual(paged, all)
    equal((await ledger.chunks({ run: first.id, client: 'b', state: 'pending', pipeline: 'p', from: '2026-01-02' }, 9)).length, 1)
    deepEqual(
      (await ledger.runs({}, 9)).map(({ id, finishedAt }) => [id, finishedAt]),
      [
        [second.id, clock.now],
        [first.id, null],
      ],
    )
    deepEqual(
      (await ledger.runs({}, 9, [clock.now, second.id])).map(({ id }) => id),
      [first.id],
    )
    deepEqual(
      (await ledger.runs({ finished: true, pipeline: 'q' }, 9)).map(({ id, progress }) => [id, progress.published]),
      [[second.id, 1]],
    )
  }),
  ledgerCase('how the days of clients lie is known up to any day', async ({ ledger, clock }) => {
    const run = await begin(ledger, { clients: ['a', 'b'] })
    for (let index = 0; index < 5; index++) await publish(ledger, await claimOf(ledger, run), { finishedAt: clock.now })
    const upTo = { days: 2, doubtful: 0, doubtfulFrom: null, publishedAt: clock.now }
    deepEqual(await ledger.extentsUpTo('p', '2026-01-02', 'a'), [
      { client: 'a', first: '2026-01-01', last: '2026-01-03', days: 3, upTo },
    ])
    deepEqual(
      await ledger.publishedDays('p'),
      new Map([
        ['a', ['2026-01-01', '2026-01-02', '2026-01-03']],
        ['b', ['2026-01-01', '2026-01-02']],
      ]),
    )
    deepEqual(await ledger.undone('p'), new Map([['b', { from: '2026-01-03', openFrom: '2026-01-03' }]]))
    equal(await ledger.publishedBy('p', 'b', '2026-01-03'), run.id)
  }),
  ledgerCase('what operators have done is kept', async ({ ledger, clock }) => {
    await ledger.recordAction({ who: 'ann', action: 'approve', subject: 'p/a', outcome: 'done' })
    deepEqual(await ledger.actions(9), [{ at: clock.now, who: 'ann', action: 'approve', subject: 'p/a', outcome: 'done' }])
  }),
]
