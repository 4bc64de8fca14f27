import { deepEqual, partialDeepStrictEqual } from 'node:assert/strict'
import { addDays } from '../chunk.ts'
import type { Alert, DueAlert } from '../ledger/alerts.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { begin, claimOf, day, type LedgerCase, ledgerCase, stage, summaryOf } from './ledger-case.ts'

const VOLUME: Alert = { id: 'volume p', content: 'half of the rows' }
const EMPTY: Alert = { id: 'empty p', content: 'no rows' }
const HOUR = 3_600_000

/** Says what is wrong now; returns what is to be told of it, as `state id`. */
async function take(ledger: Ledger, alerts: readonly Alert[], complete = true): Promise<{ due: DueAlert[]; told: string[] }> {
  const due = await ledger.takeAlerts(alerts, { complete, againMs: 24 * HOUR, claimMs: 60_000 })
  return { due, told: due.map(({ state, id }) => `${state} ${id}`) }
}

/** The same, and tells it. */
async function tell(ledger: Ledger, alerts: readonly Alert[], complete = true): Promise<string[]> {
  const { due, told } = await take(ledger, alerts, complete)
  await ledger.alertsTold(due)
  return told
}

/** What monitors look at, and what somebody was told of. */
export const WATCH_CASES: readonly LedgerCase[] = [
  ledgerCase(
    'what is known since a day are its days, chunks, restatements and costs, of one pipeline',
    async ({ ledger, clock }) => {
      clock.now = Date.parse('2026-01-04T00:00:00Z')
      const run = await begin(ledger, { clients: ['a', 'b'] })
      const cost = { jobs: 1, bytesBilled: 500.4, slotMs: 1 }
      const columns = { n: { nulls: 2, minimum: '1' } }
      const sourceTotals = [{ column: 'n', stated: '9', unreadable: null, staged: '7', rejected: '1', agrees: false }]
      for (let turn = 0; turn < 6; turn++) {
        const claim = await claimOf(ledger, run)
        const { client, window } = claim.chunk
        const summary = summaryOf(claim, {
          days: [day(window.from, 7)],
          columns,
          sourceTotals,
          cost,
          quotas: { day: turn / 10 },
          finishedAt: clock.now,
        })
        const totals = { totalsBefore: {}, totalsAfter: { cost: '2' } }
        const restatement = {
          pipeline: 'p',
          client,
          day: window.from,
          added: 1,
          removed: 2,
          rowsBefore: 3,
          rowsAfter: 4,
          ...totals,
          at: clock.now,
        }
        await stage(ledger, claim, summary)
        await ledger.committing([claim.attemptId])
        await ledger.published(claim.attemptId, summary, [restatement])
        clock.now += HOUR
      }
      const recent = await ledger.recent('p', '2026-01-03', clock.now)
      deepEqual(
        recent.days.map(({ client, day, rows }) => [client, day, rows]),
        [
          ['a', '2026-01-03', 7],
          ['b', '2026-01-03', 7],
        ],
      )
      partialDeepStrictEqual(recent.chunks, [
        { client: 'a', from: '2026-01-03', to: '2026-01-03', rows: 7, columns, sourceTotals },
        { client: 'b', from: '2026-01-03', to: '2026-01-03', rows: 7, columns, sourceTotals },
      ])
      for (let ago = 1; ago <= 14; ago++) {
        const longer = await ledger.recent('p', addDays('2026-01-03', -ago), clock.now + 40 * 24 * HOUR)
        const days = longer.days.filter(({ day }) => day === '2026-01-03')
        const chunks = longer.chunks.filter(({ to }) => to === '2026-01-03')
        deepEqual([days, chunks], [recent.days, recent.chunks], `whichever days are looked at together: from ${ago} before`)
      }
      deepEqual(recent.restatements.length, 6, 'by when they were made')
      partialDeepStrictEqual(recent.restatements[0], {
        client: 'b',
        day: '2026-01-03',
        added: 1,
        removed: 2,
        totalsAfter: { cost: '2' },
      })
      deepEqual(recent.quotas, new Map())
      deepEqual((await ledger.recent('p', '2026-01-03', clock.now - 1)).quotas, new Map([['day', 0.5]]))
      deepEqual((await ledger.recent('p', '2026-01-03', clock.now - HOUR - 1)).quotas, new Map([['day', 0.4]]), 'the least')
      deepEqual(recent.bytesBilled, { day: 3_000, month: 3_000 })
      const monthBegins = Date.parse('2026-02-01T00:00:00Z')
      deepEqual((await ledger.recent('p', '2026-01-03', monthBegins - 1)).bytesBilled, { day: 0, month: 3_000 })
      deepEqual((await ledger.recent('p', '2026-01-03', monthBegins)).bytesBilled, { day: 0, month: 0 })
      deepEqual((await ledger.recent('p', '2026-01-03', clock.now + 22 * HOUR)).bytesBilled, { day: 500, month: 3_000 })
      const none = { days: [], chunks: [], restatements: [], bytesBilled: { day: 0, month: 0 }, quotas: new Map() }
      deepEqual(await ledger.recent('q', '2026-01-03', clock.now), none)
    },
  ),
  ledgerCase('an alert is told when it begins, again after a day, and when it is over', async ({ ledger, clock }) => {
    deepEqual(await tell(ledger, [VOLUME]), ['new volume p'])
    clock.now += HOUR
    deepEqual(await tell(ledger, [VOLUME, EMPTY]), ['new empty p'])
    clock.now += 23 * HOUR
    deepEqual(await tell(ledger, [VOLUME, EMPTY]), ['lasting volume p'])
    deepEqual(await tell(ledger, [EMPTY]), ['over volume p'])
    deepEqual(await tell(ledger, [EMPTY]), [])
    deepEqual(await tell(ledger, [EMPTY, VOLUME]), ['new volume p'])
  }),
  ledgerCase(
    'what could not be told is due again when the claim has run out, by whoever asks',
    async ({ ledger, clock, another }) => {
      const other = another('somebody else')
      deepEqual((await take(ledger, [VOLUME])).told, ['new volume p'])
      deepEqual((await take(other, [VOLUME])).told, [], 'the first one is at it')
      clock.now += 61_000
      deepEqual(await tell(other, [VOLUME]), ['new volume p'])
      deepEqual((await take(other, [])).told, ['over volume p'])
      clock.now += 61_000
      deepEqual(await tell(ledger, []), ['over volume p'])
      deepEqual(await tell(ledger, []), [])
      await other.close()
    },
  ),
  ledgerCase('what is over before anybody was told is forgotten', async ({ ledger, clock }) => {
    await take(ledger, [VOLUME])
    clock.now += 61_000
    deepEqual(await tell(ledger, []), [])
  }),
  ledgerCase('nothing is over while not everything could be looked at', async ({ ledger }) => {
    await tell(ledger, [VOLUME])
    deepEqual(await tell(ledger, [], false), [])
    deepEqual(await tell(ledger, [], true), ['over volume p'])
  }),
]
