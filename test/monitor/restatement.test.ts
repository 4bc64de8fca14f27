import t from 'tap'
import type { Restatement } from '../../lib/ledger/ledger.ts'
import { lookback, measuredLookback, restated } from '../../lib/monitor/restatement.ts'
import { agoMs, dayAgo, watchedOf } from './kit.ts'

const clients = [{ id: 'a', timeZone: 'UTC' }]

/** A day so many days ago that changed when it was so old. */
function change(ago: number, age: number, changed: number, rows = 1_000): Restatement {
  const at = Date.parse(`${dayAgo(ago)}T00:00:00Z`) + age * 86_400_000
  return {
    pipeline: 'clicks',
    client: 'a',
    day: dayAgo(ago),
    added: changed,
    removed: changed,
    rowsBefore: rows,
    rowsAfter: rows,
    totalsBefore: {},
    totalsAfter: {},
    at: at + 3_600_000,
  }
}

/** Weeks in which days change a day or two after their end, and hardly on the third. */
const usual = Array.from({ length: 20 }, (_, index) => [
  change(20 + index, 1, 100),
  change(20 + index, 2, 20),
  change(20 + index, 3, 1),
]).flat()

t.test('the lookback a pipeline needs is measured from what changed', async t => {
  t.equal(measuredLookback(watchedOf({ clients, restatements: usual })), 2)
  t.equal(measuredLookback(watchedOf({ clients, restatements: usual.slice(0, 5) })), undefined)
})

t.test('a day that changes the way days change is nothing', async t => {
  t.strictSame(restated(watchedOf({ clients, restatements: [...usual, change(3, 1, 110)] })), [])
})

t.test('a day that changes after it was settled is found, if it changes by much', async t => {
  const [finding] = restated(watchedOf({ clients, restatements: [...usual, change(12, 11, 600)] }))
  t.match(finding, { level: 'report', places: [{ client: 'a', day: dayAgo(12) }], rows: 600 })
  t.match(finding?.what, /600 of 1,000 rows changed \(60 %\), client a; changes come within 2 days otherwise$/)
  t.strictSame(restated(watchedOf({ clients, restatements: [...usual, change(12, 11, 5)] })), [])
})

t.test('a day that is rewritten soon after its end is found too', async t => {
  t.equal(restated(watchedOf({ clients, restatements: [...usual, change(3, 1, 900)] })).length, 1)
})

t.test('changes at the very end of the lookback say that it is too short', async t => {
  const schedule = (lookbackDays: number) => ({ schedule: [{ name: 'daily', cron: '0 3 * * *', lookbackDays }] })
  const watched = (days: number) => watchedOf({ clients, restatements: usual, more: schedule(days) })
  t.match(lookback(watched(2)), [{ level: 'report', what: /^17 % of all changes come 2 days after the day or later/ }])
  t.strictSame(lookback(watched(3)), [])
  t.strictSame(lookback(watchedOf({ clients, restatements: usual })), [], 'nothing is read again by itself')
})

t.test('what changed long ago is over', async t => {
  const old = change(40, 11, 600)
  t.ok(old.at < agoMs(7))
  t.strictSame(restated(watchedOf({ clients, restatements: [...usual, old] })), [])
})
