import t from 'tap'
import { sourceTotals, totals } from '../../lib/monitor/totals.ts'
import { chunkOf, dayAgo, daysOfClient, watchedOf, YESTERDAY } from './kit.ts'

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

const clicks = { column: 'clicks', stated: '10', unreadable: null, staged: '7', rejected: '0', agrees: false }
const agreed = { ...clicks, stated: '7', agrees: true }

t.test('what was published and is not what the source states is one finding for each column', async t => {
  const cost = { ...clicks, column: 'cost', stated: null, unreadable: 'it states none' }
  const days = daysOfClient('a', () => ({}))
  const chunks = [chunkOf('a', 1, { sourceTotals: [clicks, cost] }), chunkOf('a', 0, { sourceTotals: [clicks, agreed] })]
  t.match(sourceTotals(watchedOf({ days, chunks })), [
    {
      level: 'ticket',
      subject: 'clicks',
      what: 'client a, 2026-03-04..2026-03-05; the last: clicks is 10 at the source, 7 staged',
      rows: 2_000,
    },
    {
      subject: 'cost',
      what: 'client a, 2026-03-04; the last: cost cannot be read at the source (it states none), 7 staged',
      places: [{ client: 'a', day: dayAgo(1) }],
    },
  ])
})

t.test('a day counts as it was read last: a chunk that was read again is forgotten, in whatever window it came', async t => {
  const window = { from: dayAgo(2), to: dayAgo(0) }
  const off = chunkOf('a', 0, { ...window, sourceTotals: [clicks] })
  const again = chunkOf('a', 0, { ...window, sourceTotals: [agreed] })
  t.strictSame(sourceTotals(watchedOf({ chunks: [off, again] })), [])
  const [left] = sourceTotals(watchedOf({ chunks: [off, chunkOf('a', 0, { sourceTotals: [agreed] })] }))
  t.strictSame(
    left?.places.map(({ day }) => day),
    [dayAgo(2), dayAgo(1)],
  )
  t.equal(sourceTotals(watchedOf({ chunks: [off, chunkOf('b', 0, { ...window, sourceTotals: [agreed] })] })).length, 1)
})

t.test('what is older than a week is not told of any more', async t => {
  t.strictSame(sourceTotals(watchedOf({ chunks: [chunkOf('a', 8, { sourceTotals: [clicks] })] })), [])
})
