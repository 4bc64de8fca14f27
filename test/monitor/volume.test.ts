import t from 'tap'
import { volume } from '../../lib/monitor/volume.ts'
import { dayAgo, daysOfClient, usualRows, watchedOf, YESTERDAY } from './kit.ts'

/** A client whose rows are as usual, but for some days. */
function clientOf(client: string, rows: Readonly<Record<number, number>> = {}) {
  return daysOfClient(client, (ago, day) => ({ rows: rows[ago] ?? usualRows(day) }))
}

t.test('weeks as usual, with their weekends, say nothing', async t => {
  t.strictSame(volume(watchedOf({ days: [...clientOf('a'), ...clientOf('b')] })), [])
})

t.test('a day with far fewer rows is found, with numbers', async t => {
  const [finding, ...others] = volume(watchedOf({ days: clientOf('a', { 0: 500 }) }))
  t.match(finding, {
    monitor: 'volume',
    level: 'ticket',
    subject: `${YESTERDAY} fewer`,
    pipelines: ['clicks'],
    places: [{ client: 'a', day: YESTERDAY }],
    since: Date.parse('2026-03-06T00:00:00Z'),
  })
  t.match(finding?.what, /^2026-03-05: client a 500 rows, 1,0\d\d expected \(-5\d %\)$/)
  t.ok((finding?.rows ?? 0) > 500)
  t.strictSame(others, [])
})

t.test('twice the rows are found too, and stay found for a week', async t => {
  for (const ago of [0, 6]) {
    const found = volume(watchedOf({ days: clientOf('a', { [ago]: 2_100 }) }))
    t.strictSame(
      found.map(({ subject }) => subject),
      [`${dayAgo(ago)} more`],
    )
  }
  t.strictSame(volume(watchedOf({ days: clientOf('a', { 7: 2_100 }) })), [])
})

t.test('a Sunday is compared with Sundays', async t => {
  t.equal(new Date(dayAgo(4)).getUTCDay(), 0)
  t.strictSame(
    volume(watchedOf({ days: clientOf('a', { 4: 1_000 }) })).map(({ subject }) => subject),
    [`${dayAgo(4)} more`],
  )
})

t.test('clients of one day are one finding, and so are all together', async t => {
  const days = ['a', 'b', 'c'].flatMap(client => clientOf(client, { 0: 400 }))
  const found = volume(watchedOf({ days: [...days, ...clientOf('d')] }))
  t.equal(found.length, 1)
  t.match(
    found[0]?.what,
    /^2026-03-05: all clients together 2,2\d\d rows, .* expected \(-4\d %\); most of it 3 clients \(a, b, c\)/,
  )
  t.strictSame(new Set(found[0]?.places.map(({ client }) => client)), new Set(['a', 'b', 'c']))
})

t.test('a loss too small for any one client is found in all together', async t => {
  const days = Array.from({ length: 20 }, (_, index) => daysOfClient(`c${index}`, ago => ({ rows: ago === 0 ? 40 : 50 }))).flat()
  const [finding] = volume(watchedOf({ days }))
  t.match(finding?.what, /^2026-03-05: all clients together 800 rows, 1,000 expected \(-20 %\)/)
})

t.test('a client that is missing makes nobody else look smaller', async t => {
  const days = [...clientOf('a'), ...clientOf('b').filter(({ day }) => day !== YESTERDAY)]
  t.strictSame(volume(watchedOf({ days })), [])
})

t.test('what concerns fewer rows than are worth telling of is not told', async t => {
  const days = daysOfClient('a', ago => ({ rows: ago === 0 ? 2 : 20 }))
  t.strictSame(volume(watchedOf({ days })), [])
  t.equal(volume(watchedOf({ days, more: { thresholds: { leastRows: 10, deviations: 3 } } })).length, 1)
})

t.test('holidays are silent, and so are weeks without a history', async t => {
  t.strictSame(volume(watchedOf({ days: clientOf('a', { 0: 100 }), more: { holidays: [YESTERDAY] } })), [])
  t.strictSame(volume(watchedOf({ days: clientOf('a', { 0: 100 }).slice(-21) })), [])
})

t.test('a day that is in doubt, or was read before its end, is not judged', async t => {
  const days = clientOf('a', { 0: 100 })
  const last = days.at(-1)
  t.equal(volume(watchedOf({ days })).length, 1)
  for (const other of [{ doubtful: true }, { readAt: Date.parse(`${YESTERDAY}T20:00:00Z`) }]) {
    if (last !== undefined) t.strictSame(volume(watchedOf({ days: [...days.slice(0, -1), { ...last, ...other }] })), [])
  }
})
