import t from 'tap'
import { completeness, freshness, landing, punctuality } from '../../lib/monitor/timeliness.ts'
import { chunkOf, dayAgo, daysOfClient, readAt, watchedOf, YESTERDAY } from './kit.ts'

const promised = { freshness: { hours: 6 } }

/** A client that has every day but these. */
function without(client: string, ...missing: number[]) {
  return daysOfClient(client, ago => (missing.includes(ago) ? undefined : { rows: 100 }))
}

t.test('a pipeline that promises nothing is never late', async t => {
  t.strictSame(freshness(watchedOf({ days: without('a', 0, 1, 2) })), [])
  t.strictSame(completeness(watchedOf({ days: without('a', 9) })), [])
})

t.test('a pipeline with a schedule promises 36 hours', async t => {
  const more = { schedule: [{ name: 'daily', cron: '0 3 * * *', lookbackDays: 3 }] }
  const [one] = punctuality(watchedOf({ days: without('a'), more }))
  t.match(one, { due: dayAgo(2), missing: [], completeThrough: YESTERDAY })
})

t.test('the newest day that is due is missed for everybody: the pipeline is late, since it was promised', async t => {
  const days = ['a', 'b'].flatMap(client => without(client, 0, 1))
  const found = freshness(watchedOf({ days, more: promised }))
  t.match(found, [{ level: 'page', since: Date.parse(`${YESTERDAY}T06:00:00Z`), rows: 400 }])
  t.match(found[0]?.what, /^2026-03-04..2026-03-05 missing for 2 clients \(a, b\) of 2, promised 6 h after the end of the day$/)
  t.strictSame(completeness(watchedOf({ days, more: promised })), [])
})

t.test('one client of many that is late does not make the pipeline late', async t => {
  const days = [...without('a', 0), ...Array.from({ length: 20 }, (_, index) => without(`c${index}`)).flat()]
  t.strictSame(freshness(watchedOf({ days, more: promised })), [])
  t.match(completeness(watchedOf({ days, more: promised })), [
    { level: 'ticket', places: [{ client: 'a', day: YESTERDAY }], rows: 100 },
  ])
})

t.test('a day that is due is a gap once a later one is there', async t => {
  const watched = watchedOf({ days: without('a', 2), more: { freshness: { hours: 36 } } })
  t.strictSame(freshness(watched), [])
  t.match(completeness(watched), [{ places: [{ client: 'a', day: dayAgo(2) }] }])
})

t.test('a gap in the past is missing, and a chunk that is held for it is told of elsewhere', async t => {
  const days = without('a', 9)
  const watched = watchedOf({ days, more: promised })
  t.match(completeness(watched), [{ places: [{ client: 'a', day: dayAgo(9) }] }])
  const chunk = { pipeline: 'clicks', client: 'a', window: { from: dayAgo(10), to: dayAgo(8) } }
  const problem = { chunk, state: 'held' as const, runId: 'r', attempts: 1, problem: null, notBefore: 0 }
  t.strictSame(completeness({ ...watched, problems: [problem] }), [])
  t.equal(completeness({ ...watched, problems: [{ ...problem, state: 'parked' }] }).length, 1)
})

t.test('a day that was read before its end is missing', async t => {
  const days = daysOfClient('a', ago => (ago === 0 ? { publishedAt: Date.parse(`${YESTERDAY}T18:00:00Z`) } : {}))
  t.match(freshness(watchedOf({ days, more: promised })), [{ places: [{ client: 'a', day: YESTERDAY }] }])
})

t.test('a day that was published before its end and found unchanged after it is there', async t => {
  const publishedAt = Date.parse(`${YESTERDAY}T18:00:00Z`)
  const days = daysOfClient('a', ago => (ago === 0 ? { publishedAt, readAt: publishedAt + 10 * 3_600_000 } : {}))
  t.strictSame(freshness(watchedOf({ days, more: promised })), [])
})

t.test('a day whose last commit is in doubt is there, as it was or as it was about to be', async t => {
  const watched = watchedOf({ days: daysOfClient('a', () => ({ doubtful: true })), more: promised })
  t.strictSame([...freshness(watched), ...completeness(watched)], [])
  t.match(punctuality(watched), [{ missing: [], completeThrough: YESTERDAY }])
})

t.test('a day ends when it ends where the client is', async t => {
  const days = daysOfClient('a', (ago, day) => (ago === 0 ? undefined : { publishedAt: readAt(day) + 10 * 3_600_000 }))
  const clients = (timeZone: string) => [{ id: 'a', timeZone }]
  const late = (timeZone: string) => freshness(watchedOf({ days, clients: clients(timeZone), more: promised })).length
  t.equal(late('Asia/Tokyo'), 1)
  t.equal(late('UTC'), 1)
  t.equal(late('America/Los_Angeles'), 0, 'their day ended an instant ago')
})

t.test('a client that is new owes its newest day and no past', async t => {
  const days = daysOfClient('a', () => ({}), 3)
  const clients = ['a', 'b'].map(id => ({ id, timeZone: 'UTC' }))
  const all = punctuality(watchedOf({ days, clients, more: promised }))
  t.match(all, [
    { client: 'a', missing: [], completeThrough: YESTERDAY },
    { client: 'b', missing: [YESTERDAY], completeThrough: null },
  ])
})

t.test('days that land later than in the weeks before are found', async t => {
  const clients = [{ id: 'a', timeZone: 'UTC' }]
  const chunks = (hours: number) =>
    Array.from({ length: 28 }, (_, index) =>
      chunkOf('a', 27 - index, { finishedAt: readAt(dayAgo(27 - index)) + (index > 20 ? hours * 3_600_000 : 0) }),
    )
  t.strictSame(landing(watchedOf({ chunks: chunks(1), clients })), [])
  t.match(landing(watchedOf({ chunks: chunks(5), clients })), [
    { level: 'report', what: 'days land 7 h after their end, 2 h in the weeks before (+250 %)' },
  ])
})
