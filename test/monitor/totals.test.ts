import t from 'tap'
import { totals } from '../../lib/monitor/totals.ts'
import { daysOfClient, watchedOf, YESTERDAY } from './kit.ts'

/** Clicks and cost that follow the rows, a little more or less each day, but for yesterday. */
function daysWith(client: string, clicks: number, cost: number, rows = 1_000) {
  return daysOfClient(client, ago => {
    const scatter = 1 + ((ago * 5) % 7) / 100
    const [clickTimes, costTimes] = ago === 0 ? [clicks, cost] : [1, 1]
    return { rows, totals: { clicks: String(rows * 3 * scatter * clickTimes), cost: String(rows * 6 * scatter * costTimes) } }
  })
}

t.test('totals that follow the rows say nothing', async t => {
  t.strictSame(totals(watchedOf({ days: [...daysWith('a', 1, 1), ...daysWith('b', 1, 1)] })), [])
})

t.test('a total in another unit is found, once', async t => {
  const [finding, ...others] = totals(watchedOf({ days: daysWith('a', 1, 100) }))
  t.match(finding, { level: 'ticket', subject: `${YESTERDAY} cost`, places: [{ client: 'a', day: YESTERDAY }], rows: 1_000 })
  t.match(finding?.what, /^2026-03-05 cost 600 per row, 6(\.\d+)? expected, client a, 1,000 rows$/)
  t.strictSame(others, [])
})

t.test('a total that is off against another one is found where both are too wild per row', async t => {
  const days = daysOfClient('a', ago => {
    const clicks = 1_000 * (1 + ((ago * 37) % 11))
    return { rows: 1_000, totals: { clicks: String(clicks), cost: String(clicks * (ago === 0 ? 3 : 1)) } }
  })
  const found = totals(watchedOf({ days }))
  t.match(found[0]?.what, /^2026-03-05 cost 3 per clicks, 1 expected/)
  t.equal(found.length, 1)
})

t.test('a ratio that scatters about zero is left alone', async t => {
  const days = daysOfClient('a', ago => ({
    rows: 1_000,
    totals: { clicks: '1', cost: String(ago === 0 ? 90_000 : ((ago * 7) % 13) * 1_000 - 6_000) },
  }))
  t.strictSame(totals(watchedOf({ days })), [])
})

t.test('holidays, and days of few rows, are silent', async t => {
  t.strictSame(totals(watchedOf({ days: daysWith('a', 1, 100), more: { holidays: [YESTERDAY] } })), [])
  t.strictSame(totals(watchedOf({ days: daysWith('a', 1, 100, 19) })), [])
})
