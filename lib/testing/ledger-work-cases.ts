import { deepEqual, partialDeepStrictEqual as matches } from 'node:assert/strict'
import { begin, claimOf, day, type LedgerCase, ledgerCase, PROBLEM, publish, stage, summaryOf } from './ledger-case.ts'

const NINE = Date.parse('2026-01-05T09:00:00Z')
const HOUR = 3_600_000
const DAY = 24 * HOUR
const WEEK = { from: '2026-01-01', to: '2026-01-07' }

/** What the ledger knows of the work that was done. */
export const WORK_CASES: readonly LedgerCase[] = [
  ledgerCase('what was done within some time is summed over the attempts that ended in it', async ({ ledger, clock }) => {
    const run = await begin(ledger)
    const api = { requests: 5, retries: 2, waitedMs: 1_500.4, bytes: 9, pages: 1 }
    for (const at of [NINE, NINE + HOUR]) {
      clock.now = at
      await publish(ledger, await claimOf(ledger, run), { api, cost: { jobs: 2, bytesBilled: 500.4, slotMs: 70.2 } })
    }
    clock.now = NINE + 2 * HOUR
    const held = await claimOf(ledger, run)
    const rows = { ...summaryOf(held).rows, extracted: 10, rejected: 4 }
    await ledger.settle(held.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(held, { api, rows }))
    const cost = { jobs: 4, bytesBilled: 1_000, slotMs: 140 }
    const all = { attempts: 3, stopped: 1, extracted: 12, rejected: 4, requests: 15, retries: 6, waitedMs: 4_500, ...cost }
    deepEqual(await ledger.work('p', { from: NINE, until: NINE + 2 * HOUR + 1 }), all)
    matches(await ledger.work('p', { from: NINE, until: NINE + 2 * HOUR }), { attempts: 2, stopped: 0, requests: 10 })
    const nothing = Object.fromEntries(Object.keys(all).map(name => [name, 0]))
    deepEqual(await ledger.work('q', { from: 0, until: NINE + DAY }), nothing)
  }),

  ledgerCase(
    'it is known whenever days were published or found unchanged, whatever was published since',
    async ({ ledger, clock }) => {
      clock.now = NINE
      const window = { from: '2025-12-31', to: '2026-01-01' }
      const first = await begin(ledger, { window }, 2)
      await publish(ledger, await claimOf(ledger, first))
      await ledger.finishRun(first.id)
      clock.now = NINE + DAY
      const again = await begin(ledger, { window }, 2)
      const claim = await claimOf(ledger, again)
      await stage(ledger, claim)
      await ledger.unchanged(claim.attemptId, summaryOf(claim))
      const later = await begin(ledger, { window: { from: '2026-01-08', to: '2026-01-08' } })
      await publish(ledger, await claimOf(ledger, later))
      const held = await claimOf(ledger, await begin(ledger, { window: { from: '2026-01-02', to: '2026-01-02' } }))
      await ledger.settle(held.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(held))
      deepEqual(await ledger.arrivals('p', WEEK, NINE), [
        { client: 'a', window, at: NINE },
        { client: 'a', window, at: NINE + DAY },
      ])
      deepEqual(await ledger.arrivals('p', WEEK, NINE + 1), [{ client: 'a', window, at: NINE + DAY }])
      deepEqual(await ledger.arrivals('q', WEEK, 0), [])
    },
  ),

  ledgerCase('restatements are known by when they were made, the first one first', async ({ ledger, clock }) => {
    const run = await begin(ledger)
    for (const at of [NINE, NINE + HOUR, NINE + 2 * HOUR]) {
      clock.now = at
      const claim = await claimOf(ledger, run)
      const counts = { added: 1, removed: 2, rowsBefore: 3, rowsAfter: 4, totalsBefore: {}, totalsAfter: { cost: '1.5' } }
      await stage(ledger, claim)
      await ledger.committing([claim.attemptId])
      const restatement = { pipeline: 'p', client: 'a', day: claim.chunk.window.from, ...counts, at }
      await ledger.published(claim.attemptId, summaryOf(claim), [restatement])
    }
    matches(await ledger.restatedWithin('p', { from: NINE, until: NINE + 2 * HOUR }), [
      { client: 'a', day: '2026-01-01', at: NINE, totalsAfter: { cost: '1.5' } },
      { client: 'a', day: '2026-01-02', at: NINE + HOUR },
    ])
    deepEqual((await ledger.restatedWithin('p', { from: NINE, until: NINE + 2 * HOUR })).length, 2)
    deepEqual(await ledger.restatedWithin('q', { from: 0, until: NINE + DAY }), [])
  }),

  ledgerCase(
    'rejects of published days are counted by day, and their rules by the chunk that published them',
    async ({ ledger }) => {
      const window = { from: '2026-01-01', to: '2026-01-04' }
      const run = await begin(ledger, { window }, 2)
      for (const [rejected, rules] of [
        [3, { minimum: 4, required: 1 }],
        [0, {}],
      ] as const) {
        const claim = await claimOf(ledger, run)
        const { from, to } = claim.chunk.window
        const days = [day(from, 5, { rejected }), day(to, 5, { rejected: rejected > 0 ? 2 : 0 })]
        await publish(ledger, claim, { days, rejectedBy: rules })
      }
      deepEqual(await ledger.rejectedDays('p', WEEK), [
        { client: 'a', day: '2026-01-01', rejected: 3 },
        { client: 'a', day: '2026-01-02', rejected: 2 },
      ])
      deepEqual(await ledger.rejectedBy('p', WEEK), [{ client: 'a', rules: { minimum: 4, required: 1 } }])
      deepEqual(await ledger.rejectedDays('p', { from: '2026-01-03', to: '2026-01-09' }), [])
      deepEqual(await ledger.rejectedBy('p', { from: '2026-01-03', to: '2026-01-09' }), [])
    },
  ),
]
