import t from 'tap'
import type { ColumnSummary } from '../../lib/attempt/summary.ts'
import { distribution, nulls, range } from '../../lib/monitor/columns.ts'
import { chunkOf, watchedOf, YESTERDAY } from './kit.ts'

const CLIENTS = ['a', 'b'].map(id => ({ id, timeZone: 'UTC' }))

/** Four weeks of chunks of two clients; one column of client a is otherwise yesterday. */
function chunksWith(column: string, usual: ColumnSummary, yesterday: ColumnSummary, rows = 1_000) {
  const chunks = ['a', 'b'].flatMap(client =>
    Array.from({ length: 28 }, (_, index) => {
      const ago = 27 - index
      return chunkOf(client, ago, { rows, columns: { [column]: client === 'a' && ago === 0 ? yesterday : usual } })
    }),
  )
  return watchedOf({ chunks, clients: CLIENTS })
}

t.test('a column that is suddenly null in a part of the rows is found', async t => {
  const [finding, ...others] = nulls(chunksWith('keyword', { nulls: 10 }, { nulls: 400 }))
  t.match(finding, { level: 'ticket', subject: `${YESTERDAY} keyword`, places: [{ client: 'a', day: YESTERDAY }], rows: 390 })
  t.match(finding?.what, /40 % of 1,000 rows null, 1 % before \(client a\)$/)
  t.strictSame(others, [])
})

t.test('a column that is suddenly never null is found too', async t => {
  t.equal(nulls(chunksWith('keyword', { nulls: 900 }, { nulls: 0 })).length, 1)
})

t.test('nulls as usual, or a few more of them, say nothing', async t => {
  t.strictSame(nulls(chunksWith('keyword', { nulls: 10 }, { nulls: 12 })), [])
  t.strictSame(nulls(chunksWith('keyword', { nulls: 10 }, { nulls: 50 })), [])
  t.strictSame(nulls(chunksWith('keyword', { nulls: 0 }, { nulls: 15 }, 15)), [], 'too few rows')
})

t.test('nulls that are too few in any client are found in all together', async t => {
  const clients = Array.from({ length: 30 }, (_, index) => `c${index}`)
  const chunks = clients.flatMap(client =>
    Array.from({ length: 28 }, (_, index) =>
      chunkOf(client, 27 - index, { rows: 10, columns: { keyword: { nulls: index === 27 ? 5 : 0 } } }),
    ),
  )
  const found = nulls(watchedOf({ chunks, clients: clients.map(id => ({ id, timeZone: 'UTC' })) }))
  t.match(
    found.map(({ what }) => what),
    [/50 % of 300 rows null, 0 % before \(30 clients/],
  )
})

t.test('of days that were read twice, the newest reading counts', async t => {
  const { chunks } = chunksWith('keyword', { nulls: 10 }, { nulls: 400 })
  const healed = chunkOf('a', 0, { columns: { keyword: { nulls: 10 } } })
  t.strictSame(nulls(watchedOf({ chunks: [...chunks, healed], clients: CLIENTS })), [])
})

t.test('numbers many times larger than ever are found, a new record is not', async t => {
  const usual = { minimum: '0', maximum: '500' }
  t.strictSame(range(chunksWith('cost', usual, { minimum: '0', maximum: '4000' })), [])
  const [finding] = range(chunksWith('cost', usual, { minimum: '0', maximum: '50000' }))
  t.match(finding?.what, /cost: from 0 to 50,000, before from 0 to 500 \(client a\)$/)
})

t.test('numbers below zero are found where there were none', async t => {
  const [finding] = range(chunksWith('cost', { minimum: '0', maximum: '500' }, { minimum: '-3', maximum: '500' }))
  t.match(finding, { subject: `${YESTERDAY} cost` })
  t.strictSame(range(chunksWith('cost', { minimum: '-9', maximum: '500' }, { minimum: '-20', maximum: '500' })), [])
})

t.test('declared values that occur in other shares are found', async t => {
  const usual = { values: { phone: 600, tablet: 100, desk: 300 } }
  const [finding] = distribution(chunksWith('device', usual, { values: { phone: 950, desk: 50 } }))
  t.match(finding, { subject: `${YESTERDAY} device`, places: [{ client: 'a', day: YESTERDAY }] })
  t.match(finding?.what, /stability index \d/)
  t.strictSame(distribution(chunksWith('device', usual, { values: { phone: 640, tablet: 80, desk: 280 } })), [])
})

t.test('few rows are no distribution', async t => {
  const usual = { values: { phone: 6, tablet: 1, desk: 3 } }
  t.strictSame(distribution(chunksWith('device', usual, { values: { phone: 1, tablet: 1, desk: 8 } }, 10)), [])
})
