import t from 'tap'
import { empty, repeated } from '../../lib/monitor/standstill.ts'
import { dayAgo, daysOfClient, usualRows, watchedOf, YESTERDAY } from './kit.ts'

t.test('a day without a row is found at once where there never was one before', async t => {
  const days = daysOfClient('a', (ago, day) => ({ rows: ago === 0 ? 0 : usualRows(day) }))
  const [finding, ...others] = empty(watchedOf({ days }))
  t.match(finding, { level: 'page', subject: YESTERDAY, places: [{ client: 'a', day: YESTERDAY }] })
  t.match(finding?.what, /^2026-03-05: client a without a row, \d+ expected$/)
  t.strictSame(others, [])
})

t.test('a client that often has none is left alone until chance does not explain it', async t => {
  const sparse = (empties: number) => daysOfClient('a', ago => ({ rows: ago < empties || ago % 3 === 0 ? 0 : 10 }))
  t.strictSame(empty(watchedOf({ days: sparse(2) })), [])
  t.strictSame(empty(watchedOf({ days: sparse(4) })), [])
  t.equal(empty(watchedOf({ days: sparse(11) })).length, 1)
})

t.test('days that follow each other, and clients that stopped together, are one finding that began on the first', async t => {
  const days = ['a', 'b'].flatMap(client => daysOfClient(client, (ago, day) => ({ rows: ago < 3 ? 0 : usualRows(day) })))
  const found = empty(watchedOf({ days }))
  t.equal(found.length, 1)
  t.match(found[0], { subject: dayAgo(2), since: Date.parse(`${dayAgo(1)}T00:00:00Z`) })
  t.equal(found[0]?.places.length, 6)
})

t.test('a pipeline in which nobody ever had a row is found although there is no history', async t => {
  const green = (count: number) => ['a', 'b'].flatMap(client => daysOfClient(client, () => ({ rows: 0 }), count))
  t.strictSame(empty(watchedOf({ days: green(2) })), [])
  const [finding] = empty(watchedOf({ days: green(14) }))
  t.match(finding, {
    subject: 'never',
    level: 'page',
    what: 'no client ever had a row, in 28 published days of 2 clients (a, b)',
  })
  t.strictSame(empty(watchedOf({ days: [...green(14), ...daysOfClient('c', () => ({ rows: 1 }), 14)] })), [])
})

/** Rows and totals that differ from day to day, but that the days given repeat the one before. */
function totalsOf(client: string, repeats: readonly number[], rows = 1_000) {
  return daysOfClient(client, ago => {
    let source = ago
    while (repeats.includes(source)) source++
    return { rows: rows + (source % 9), totals: { clicks: String(3_000 + source * 17), cost: String(9_000 + source * 31) } }
  })
}

t.test('a day with the rows and totals of the day before is found', async t => {
  const [finding, ...others] = repeated(watchedOf({ days: totalsOf('a', [0]) }))
  t.match(finding, { level: 'page', subject: YESTERDAY, places: [{ client: 'a', day: YESTERDAY }] })
  t.strictSame(others, [])
  t.strictSame(repeated(watchedOf({ days: totalsOf('a', []) })), [])
})

t.test('data that is the same every day is no standstill', async t => {
  const days = daysOfClient('a', () => ({ rows: 1_000, totals: { clicks: '7', cost: '9' } }))
  t.strictSame(repeated(watchedOf({ days })), [])
})

t.test('among many clients one day that is alike is chance, two in a row are not', async t => {
  const others = Array.from({ length: 40 }, (_, index) =>
    daysOfClient(`c${index}`, ago => ({ rows: 100, totals: { clicks: String(ago % 55), cost: '1' } })),
  ).flat()
  t.strictSame(repeated(watchedOf({ days: [...others, ...totalsOf('a', [0])] })), [])
  t.match(repeated(watchedOf({ days: [...others, ...totalsOf('a', [0, 1])] })), [
    { subject: YESTERDAY, places: [{ client: 'a', day: YESTERDAY }] },
  ])
})

t.test('without control totals nothing tells days apart, and nothing is said', async t => {
  t.strictSame(repeated(watchedOf({ days: daysOfClient('a', () => ({ rows: 1_000 })) })), [])
})

t.test('a source that stood still before is found when it does so again', async t => {
  t.equal(repeated(watchedOf({ days: totalsOf('a', [20, 21, 22, 30, 0]) })).length, 1)
})
