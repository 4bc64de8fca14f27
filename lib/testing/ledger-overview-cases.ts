import { deepEqual, equal, partialDeepStrictEqual as matches } from 'node:assert/strict'
import type { Claim, Ledger, RunRequest } from '../ledger/ledger.ts'
import type { ListedChunk } from '../ledger/lists.ts'
import { begin, claimOf, day, type LedgerCase, ledgerCase, PROBLEM, publish, stage, summaryOf } from './ledger-case.ts'

const FIRST = { from: '2026-01-01', to: '2026-01-01' }
const LATER = { from: '2026-01-03', to: '2026-01-04' }

/** Begins a run of single days and publishes as many of its chunks, the oldest first; gives the next one. */
async function some(ledger: Ledger, more: Partial<RunRequest>, chunks: number, at = 0): Promise<{ run: string; next?: Claim }> {
  const run = await begin(ledger, more)
  for (let count = 0; count < chunks; count++) {
    const claim = await claimOf(ledger, run)
    await publish(ledger, claim, { finishedAt: at, days: [day(claim.chunk.window.from, 3)] })
  }
  const next = await ledger.claim(run.id, 60_000)
  return next === undefined || 'waitMs' in next ? { run: run.id } : { run: run.id, next }
}

/** What is read of many clients at once, and page by page. */
export const OVERVIEW_CASES: readonly LedgerCase[] = [
  ledgerCase(
    'it is known how the published days of every client lie, and what is known of those up to a day',
    async ({ ledger }) => {
      await some(ledger, { window: FIRST }, 1, 5)
      await some(ledger, { window: LATER }, 2, 7)
      await some(ledger, { window: LATER, clients: ['b'] }, 2, 6)
      await some(ledger, { window: FIRST, clients: ['c'], pipeline: 'other' }, 1)
      const extents = async (through: string, client?: string) =>
        (await ledger.extentsUpTo('p', through, client)).toSorted((a, b) => (a.client < b.client ? -1 : 1))
      const upTo = { doubtful: 0, doubtfulFrom: null }
      deepEqual(await extents('2026-01-03'), [
        { client: 'a', first: '2026-01-01', last: '2026-01-04', days: 3, upTo: { ...upTo, days: 2, publishedAt: 7 } },
        { client: 'b', first: '2026-01-03', last: '2026-01-04', days: 2, upTo: { ...upTo, days: 1, publishedAt: 6 } },
      ])
      matches(await extents('2026-01-02', 'b'), [{ client: 'b', upTo: { days: 0, publishedAt: null } }])
      deepEqual(
        await ledger.publishedDays('p'),
        new Map([
          ['a', ['2026-01-01', '2026-01-03', '2026-01-04']],
          ['b', ['2026-01-03', '2026-01-04']],
        ]),
      )
      deepEqual(await ledger.publishedDays('p', 'nobody'), new Map())
      matches(await ledger.calendar('p', { from: '2026-01-02', to: '2026-01-03' }), [
        { client: 'a', day: '2026-01-03', rows: 3, doubtful: false },
        { client: 'b', day: '2026-01-03', rows: 3, doubtful: false },
      ])
    },
  ),

  ledgerCase('a commit that is interrupted leaves days in doubt, which stay published', async ({ ledger }) => {
    const { run } = await some(ledger, { window: LATER }, 2)
    const { run: again, next } = await some(ledger, { window: LATER, force: true }, 1)
    if (next === undefined) throw new Error('nothing to claim')
    await stage(ledger, next)
    await ledger.committing([next.attemptId])
    matches(await ledger.extentsUpTo('p', '2026-01-04'), [
      { days: 2, upTo: { days: 2, doubtful: 1, doubtfulFrom: '2026-01-04' } },
    ])
    matches(await ledger.extentsUpTo('p', '2026-01-03'), [{ upTo: { doubtful: 0, doubtfulFrom: null } }])
    equal(await ledger.publishedBy('p', 'a', '2026-01-03'), again)
    equal(await ledger.publishedBy('p', 'a', '2026-01-02'), null)
    equal(run === again, false)
  }),

  ledgerCase('what was asked for and is not done is known by client', async ({ ledger }) => {
    const { next } = await some(ledger, { window: { from: '2026-01-01', to: '2026-01-03' } }, 1)
    if (next === undefined) throw new Error('nothing to claim')
    deepEqual(await ledger.undone('p'), new Map([['a', { from: '2026-01-02', openFrom: '2026-01-02' }]]))
    await ledger.settle(next.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(next))
    deepEqual(await ledger.undone('p'), new Map([['a', { from: '2026-01-02', openFrom: '2026-01-03' }]]))
    deepEqual(await ledger.undone('other'), new Map())
  }),

  ledgerCase('chunks are listed by what is asked, page by page, each once', async ({ ledger }) => {
    const { run, next } = await some(ledger, { clients: ['a', 'b', 'ü'] }, 1)
    await begin(ledger, { pipeline: 'q' })
    const pages: ListedChunk[] = []
    for (;;) {
      const last = pages.at(-1)
      const page = await ledger.chunks({}, 5, last && [last.runId, last.chunk.client, last.chunk.window.from])
      pages.push(...page)
      if (page.length < 5) break
    }
    equal(new Set(pages.map(({ runId, chunk }) => `${runId} ${chunk.client} ${chunk.window.from}`)).size, 12)
    equal(pages.length, 12)
    equal((await ledger.chunks({ pipeline: 'p', client: 'ü' }, 100)).length, 3)
    matches(await ledger.chunks({ state: 'published' }, 100), [{ runId: run, priority: 'backfill', served: false }])
    matches(await ledger.chunks({ state: 'running' }, 100), [{ chunk: next?.chunk }])
    matches(await ledger.chunks({ run, client: 'a', from: '2026-01-03' }, 100), [
      { state: 'pending', attempts: 0, problem: null },
    ])
  }),

  ledgerCase('runs are listed newest first, page by page, with how far they are', async ({ ledger, clock }) => {
    const first = await begin(ledger, { clients: ['a', 'b'], missing: true })
    clock.now += 1_000
    const { run: second } = await some(ledger, { pipeline: 'q', force: true }, 1)
    await ledger.finishRun(second)
    const [newest, ...older] = await ledger.runs({}, 1)
    deepEqual(older, [])
    matches(newest, { id: second, pipeline: 'q', force: true, missing: false, finishedAt: clock.now })
    matches(newest?.progress, { published: 1, running: 1, pending: 1 })
    matches(await ledger.runs({}, 10, [newest?.startedAt ?? 0, second]), [
      { id: first.id, clients: 2, missing: true, finishedAt: null, window: { from: '2026-01-01', to: '2026-01-03' } },
    ])
    deepEqual(
      (await ledger.runs({ finished: false }, 10)).map(({ id }) => id),
      [first.id],
    )
    deepEqual(
      (await ledger.runs({ pipeline: 'q', finished: true }, 10)).map(({ id }) => id),
      [second],
    )
    deepEqual(await ledger.runs({ pipeline: 'q', finished: false }, 10), [])
  }),

  ledgerCase('what operators have done is kept, newest first', async ({ ledger, clock }) => {
    const done = { who: 'somebody', action: 'approve', subject: 'p/a/2026-01-01', outcome: 'was held' } as const
    await ledger.recordAction(done)
    const at = clock.now
    clock.now += 1_000
    await ledger.recordAction({ ...done, action: 'retry' })
    deepEqual(await ledger.actions(1), [{ ...done, action: 'retry', at: clock.now }])
    deepEqual((await ledger.actions(10)).at(-1), { ...done, at })
  }),
]
