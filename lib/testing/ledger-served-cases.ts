import { deepEqual, equal, ok, partialDeepStrictEqual } from 'node:assert/strict'
import type { Claim, Ledger } from '../ledger/ledger.ts'
import type { Priority } from '../ledger/pace.ts'
import type { Served, Serving } from '../ledger/served.ts'
import { chunksOf, LEASE, type LedgerCase, ledgerCase, PROBLEM, publish, request, stage, summaryOf } from './ledger-case.ts'

/** Every pipeline there is, unlimited but for what is given. */
function served(more: Partial<Served> & { atOnce?: number; after?: Served['pipelines'][number]['after'] } = {}): Served {
  const { atOnce = 100, after = [], perAccount = 100 } = more
  return {
    pipelines: [
      { name: 'p', atOnce, after: [] },
      { name: 'q', atOnce: 100, after },
    ],
    perAccount,
  }
}

function begin(
  ledger: Ledger,
  { priority = 'backfill', ...more }: Parameters<typeof request>[0] & { readonly priority?: Priority } = {},
  serving: Serving = { served: true },
) {
  const wanted = request(more)
  const chunks = chunksOf(wanted).map(chunk => ({ ...chunk, priority }))
  return ledger.beginRun(wanted, chunks, serving)
}

/** What is claimed, one after the other, until nothing is left to claim. */
async function claims(ledger: Ledger, from: Served): Promise<Claim[]> {
  const got: Claim[] = []
  for (;;) {
    const claim = await ledger.claim(from, LEASE)
    if (claim === undefined || 'waitMs' in claim) return got
    got.push(claim)
  }
}

const names = (got: readonly Claim[]): string[] =>
  got.map(({ chunk: { pipeline, client, window }, priority }) => `${priority} ${pipeline} ${client} ${window.from.slice(8)}`)

/** What daemons work on together. */
export const SERVED_CASES: readonly LedgerCase[] = [
  ledgerCase('live chunks go first, the newest day first, and clients take turns', async ({ ledger }) => {
    await begin(ledger, { clients: ['b', 'a'], window: { from: '2026-01-08', to: '2026-01-09' } })
    await begin(ledger, {
      clients: ['a', 'b'],
      window: { from: '2026-01-01', to: '2026-01-02' },
      priority: 'live',
      pipeline: 'q',
    })
    await begin(ledger, { clients: ['z'] }, {})
    deepEqual(names(await claims(ledger, served())), [
      'live q a 02',
      'live q b 02',
      'live q a 01',
      'live q b 01',
      'backfill p a 09',
      'backfill p b 09',
      'backfill p a 08',
      'backfill p b 08',
    ])
  }),
  ledgerCase('no more chunks of a pipeline, or of an account, are read at once than is allowed', async ({ ledger }) => {
    await begin(ledger, { clients: ['a', 'b', 'c'] })
    await begin(ledger, { clients: ['a'], pipeline: 'q' })
    const got = await claims(ledger, served({ atOnce: 2, perAccount: 1 }))
    deepEqual(names(got), ['backfill p a 03', 'backfill p b 03'])
    deepEqual(await ledger.claim(served({ atOnce: 2, perAccount: 1 }), LEASE), { waitMs: 500 }, 'what waits is asked for again')
    const [first] = got
    if (first === undefined) return
    await stage(ledger, first)
    deepEqual(
      names(await claims(ledger, served({ atOnce: 2, perAccount: 1 }))),
      ['backfill q a 03', 'backfill p c 03'],
      'what is staged reads no more',
    )
  }),
  ledgerCase(
    'a chunk waits until the pipelines before it have published its days, and are not about to do so again',
    async ({ ledger }) => {
      const after = served({ after: [{ pipeline: 'p', gaps: 0 }] })
      await begin(ledger, { pipeline: 'q', window: { from: '2026-01-01', to: '2026-01-01' } })
      deepEqual(await ledger.claim(after, LEASE), { waitMs: 500 })
      await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-01' } })
      const [upstream, ...none] = await claims(ledger, after)
      deepEqual(none, [], 'while the other is read')
      if (upstream === undefined) return
      await publish(ledger, upstream)
      await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-02' }, clients: ['a', 'b'] })
      const again = await claims(ledger, after)
      deepEqual(names(again), ['backfill p a 02', 'backfill p b 02', 'backfill p a 01', 'backfill p b 01'])
      const [, , same] = again
      if (same === undefined) return
      await ledger.settle(same.attemptId, { state: 'failed', problem: PROBLEM, certain: true }, summaryOf(same))
      deepEqual(names(await claims(ledger, after)), ['backfill q a 01'], 'the day is published, whatever became of the last try')
    },
  ),
  ledgerCase('a share of the days before it may be missing, where that is allowed', async ({ ledger }) => {
    const wanted = request({ pipeline: 'q' })
    await ledger.beginRun(wanted, chunksOf(wanted, 3), { served: true })
    await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-02' } })
    const gaps = (share: number): Served => served({ after: [{ pipeline: 'p', gaps: share }] })
    for (const claim of await claims(ledger, gaps(0.3))) await publish(ledger, claim)
    deepEqual(names(await claims(ledger, gaps(0.3))), [], 'a third is missing')
    deepEqual(names(await claims(ledger, gaps(0.34))), ['backfill q a 01'])
  }),
  ledgerCase('an occasion is answered once, and never after a later one', async ({ ledger }) => {
    const at = (ms: number, client = 'a'): Serving => ({ served: true, occasions: [{ schedule: 'daily', client, at: ms }] })
    const asked = { command: 'schedule', priority: 'live' } as const
    ok(await begin(ledger, asked, at(1_000)))
    equal(await begin(ledger, asked, at(1_000)), undefined)
    equal(await begin(ledger, asked, at(999)), undefined)
    ok(await begin(ledger, asked, at(1_000, 'b')))
    ok(await begin(ledger, asked, at(1_001)), 'even while the run before is not finished')
    deepEqual(
      (await ledger.occasions('p')).toSorted((a, b) => a.at - b.at),
      [
        { schedule: 'daily', client: 'b', at: 1_000 },
        { schedule: 'daily', client: 'a', at: 1_001 },
      ],
    )
  }),
  ledgerCase(
    'served runs are finished once nothing more happens in them, and a chunk that is revived opens its run again',
    async ({ ledger }) => {
      await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-02' } })
      const [second, first] = await claims(ledger, served())
      if (first === undefined || second === undefined) return
      await publish(ledger, first)
      equal(await ledger.finishServed(), 0)
      await ledger.settle(second.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(second))
      equal(await ledger.finishServed(), 1)
      equal(await ledger.finishServed(), 0)
      equal(await ledger.revive(first.runId, 'a', '2026-01-01', true), false, 'it is published')
      equal(await ledger.revive(first.runId, 'a', '2026-01-02', true), true)
      partialDeepStrictEqual(await claims(ledger, served()), [{ force: true, attempt: 1, chunk: second.chunk }])
    },
  ),
  ledgerCase('windows that nobody has begun to read are known', async ({ ledger }) => {
    await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-02' } })
    await begin(ledger, { clients: ['unserved'] }, {})
    await ledger.claim(served(), LEASE)
    deepEqual(await ledger.waiting('p'), [
      { client: 'a', window: { from: '2026-01-01', to: '2026-01-01' }, priority: 'backfill' },
    ])
  }),
  ledgerCase('a window that is parked will be read as well, one that failed will not', async ({ ledger }) => {
    await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-02' } })
    const [second, first] = await claims(ledger, served())
    if (first === undefined || second === undefined) return
    await ledger.settle(second.attemptId, { state: 'failed', problem: PROBLEM, certain: true }, summaryOf(second))
    await ledger.settle(first.attemptId, { state: 'parked', problem: PROBLEM, certain: true }, summaryOf(first))
    deepEqual(await ledger.waiting('p'), [
      { client: 'a', window: { from: '2026-01-01', to: '2026-01-01' }, priority: 'backfill' },
    ])
  }),
  ledgerCase('one run has chunks that are live and others that can wait', async ({ ledger }) => {
    const [first, second, third] = chunksOf(request())
    if (first === undefined || second === undefined || third === undefined) return
    await ledger.beginRun(request({ command: 'schedule' }), [first, { ...second, priority: 'live' }, third], { served: true })
    deepEqual(names(await claims(ledger, served())), ['live p a 02', 'backfill p a 03', 'backfill p a 01'])
  }),
  ledgerCase('a run without chunks answers its occasions and is finished', async ({ ledger, clock }) => {
    const serving: Serving = { served: true, occasions: [{ schedule: 'daily', client: 'a', at: 1 }] }
    ok(await ledger.beginRun(request({ command: 'schedule' }), [], serving))
    equal(await ledger.lastFinished('p'), clock.now)
    equal(await ledger.beginRun(request({ command: 'schedule' }), [], serving), undefined)
  }),
  ledgerCase('it is known how the published days of each client lie', async ({ ledger }) => {
    deepEqual(await ledger.extents('p'), [])
    await begin(ledger, { clients: ['a', 'b'] })
    const got = await claims(ledger, served())
    for (const claim of got.filter(({ chunk: { client, window } }) => `${client} ${window.from}` !== 'a 2026-01-02')) {
      await publish(ledger, claim)
    }
    const first = { from: '2026-01-01', to: '2026-01-01' }
    await begin(ledger, { clients: ['b'], window: first })
    const [doubtful] = await claims(ledger, served())
    if (doubtful === undefined) return
    await stage(ledger, doubtful)
    await ledger.committing([doubtful.attemptId])
    deepEqual(
      (await ledger.extents('p')).toSorted((a, b) => (a.client < b.client ? -1 : 1)),
      ['a', 'b'].map(client => ({ client, first: '2026-01-01', last: '2026-01-03', certainDays: 2 })),
    )
  }),
]
