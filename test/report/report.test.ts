import { execFileSync } from 'node:child_process'
import t from 'tap'
import { LACKS } from '../../lib/report/days.ts'
import type { Report } from '../../lib/report/report.ts'
import { fresh, PROBLEM, request } from '../ledger/kit.ts'
import { HOSTILE, MONDAY, nextMorning, pipelineOf, reportOf, tellDay, tellDays, WEEK } from './story.ts'

const HOUR = 3_600_000
const ADS = pipelineOf('ads')
const SUNDAY = '2026-11-22'

/** The days of the only pipeline. */
function daysIn({ pipelines }: Report) {
  const [one] = pipelines
  if (one === undefined) throw new Error('there is no pipeline')
  return one.days
}

t.test('a week of which every day is there in time is whole, and nothing is to be done', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', ['acme', 'globex'])
  const found = await reportOf(story.ledger, [ADS], ['acme', 'globex'])
  t.same(found.verdict, { whole: true, mood: 'good', sentence: 'Week 2026-W47 is whole: all 14 days are there.' })
  t.match(daysIn(found), { clients: 2, expected: 14, there: 14, late: 0, lateHours: null, missing: 0, rows: 14_000, wanting: [] })
  t.same(found.fixes, [])
})

t.test('a day is late when it came later after its end, on the clock of its client, than was promised', async t => {
  const story = fresh(t)
  const clients = ['acme', { id: 'globex', timeZone: 'America/Los_Angeles' }]
  // Eight hours after its end where the clock shows UTC, at the very end where it shows that of Los Angeles.
  await tellDays(story, 'ads', ['acme', 'globex'], WEEK, (day, client) =>
    day === WEEK.from && client === 'acme' ? { at: nextMorning(day) + 30 * HOUR } : {},
  )
  const found = await reportOf(story.ledger, [ADS], clients)
  t.match(daysIn(found), { there: 14, late: 1, lateHours: { median: 2, most: 2 } })
  t.match(daysIn(found).wanting, [{ client: 'acme', lacking: 0, late: 1, latestHours: 2 }])
  t.equal(found.verdict.sentence, 'Week 2026-W47 is whole: all 14 days are there, 1 of them late, by 2 h at most.')
  t.equal(found.verdict.whole, true)
})

t.test('what is published anew does not become late, and what is found unchanged after its end is there', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', ['acme'])
  await tellDay(story, 'ads', 'acme', WEEK.from, { at: MONDAY - HOUR })
  t.match(daysIn(await reportOf(story.ledger, [ADS], ['acme'])), { there: 7, late: 0 })
})

t.test('a day that was read before it was over, and not since, is not there', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', ['acme'], { from: WEEK.from, to: '2026-11-21' })
  await tellDay(story, 'ads', 'acme', SUNDAY, { at: Date.parse(`${SUNDAY}T23:00:00Z`) })
  const early = await reportOf(story.ledger, [ADS], ['acme'])
  t.match(daysIn(early), { expected: 7, there: 6, partial: 1, wanting: [{ client: 'acme', lacking: 1 }] })
  t.equal(early.verdict.sentence, 'Week 2026-W47 is not whole: 1 of 7 days is not there, of 1 client: 1 read too early.')
  await tellDay(story, 'ads', 'acme', SUNDAY, { ends: 'unchanged' })
  t.match(daysIn(await reportOf(story.ledger, [ADS], ['acme'])), { there: 7, partial: 0 })
})

t.test('every day that is due is there or lacks for one reason', async t => {
  const story = fresh(t)
  const clients = ['acme', 'held', 'failed', 'parked', 'missing', 'waits']
  const waits = nextMorning(SUNDAY) + 3 * HOUR
  await tellDays(story, 'ads', clients, WEEK, (day, client) => {
    if (client === 'missing' && day > '2026-11-18' && day < SUNDAY) return undefined
    if (day !== SUNDAY || client === 'acme' || client === 'missing') return {}
    if (client === 'waits') return undefined
    return { ends: { state: client as 'held', problem: PROBLEM, ...(client === 'parked' ? { notBefore: waits } : {}) } }
  })
  const window = { from: SUNDAY, to: SUNDAY }
  const asked = request({ pipeline: 'ads', command: 'schedule', clients: ['waits'], window })
  await story.ledger.beginRun(asked, [{ pipeline: 'ads', client: 'waits', window }], { served: true })
  const found = await reportOf(story.ledger, [ADS], clients)
  const days = daysIn(found)
  t.match(days, { expected: 42, there: 35, missing: 3, held: 1, failed: 1, parked: 1, partial: 0, toCome: 1 })
  t.equal(days.there + LACKS.reduce((sum, lack) => sum + days[lack], 0), days.expected)
  t.same(
    days.wanting.map(({ client, lacking }) => [client, lacking]),
    [
      ['missing', 3],
      ['held', 1],
      ['failed', 1],
      ['parked', 1],
    ],
  )
  t.equal(
    found.verdict.sentence,
    'Week 2026-W47 is not whole: 6 of 42 days are not there, of 4 clients: 3 missing, 1 held, 1 failed, 1 put off; 1 is still to come.',
  )
})

t.test('nothing that was due, and days that are still to come, are not a whole week', async t => {
  const story = fresh(t)
  const never = await reportOf(story.ledger, [ADS], ['acme'], { week: '2026-W40' })
  t.match(never.verdict, { whole: false, sentence: 'Week 2026-W40: nothing was due.' })
  await tellDays(story, 'ads', ['acme'], { from: WEEK.from, to: '2026-11-21' })
  const window = { from: SUNDAY, to: SUNDAY }
  const asked = request({ pipeline: 'ads', command: 'schedule', clients: ['acme'], window })
  await story.ledger.beginRun(asked, [{ pipeline: 'ads', client: 'acme', window }], { served: true })
  const busy = await reportOf(story.ledger, [ADS], ['acme'])
  t.match(busy.verdict, {
    whole: false,
    mood: 'busy',
    sentence: 'Week 2026-W47 is not whole yet: 1 of 7 days is still to come.',
  })
})

t.test('a week of days without a row has all its days, and is not called whole', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', ['acme', 'globex', 'initech', 'umbrella'], WEEK, () => ({ rows: 0 }))
  const { verdict, fixes } = await reportOf(story.ledger, [ADS], ['acme', 'globex', 'initech', 'umbrella'])
  t.match(verdict, { whole: false, mood: 'bad', sentence: 'Week 2026-W47 has all its 28 days, but something looks wrong.' })
  t.match(fixes, [{ level: 'page', what: /^ads: empty: no client ever had a row/ }])
})

t.test('a report of a week that is not over says so, and does not wait for what is not due', async t => {
  const story = fresh(t)
  const now = Date.parse('2026-11-19T07:00:00Z')
  await tellDays(story, 'ads', ['acme', 'tokyo'], { from: WEEK.from, to: '2026-11-18' })
  const clients = ['acme', { id: 'tokyo', timeZone: 'Asia/Tokyo' }]
  const found = await reportOf(story.ledger, [ADS], clients, { week: '2026-W47', now: now + 2 * HOUR })
  t.equal(found.overThrough, '2026-11-18')
  t.equal(found.verdict.sentence, 'Week 2026-W47 so far is whole: all 6 days are there.')
  t.equal(found.within.until, now + 2 * HOUR)
})

t.test('a client owes nothing from before the first day that was ever asked for', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', ['acme', 'newcomer'], WEEK, (day, client) =>
    client === 'newcomer' && day < '2026-11-20' ? undefined : {},
  )
  t.match(daysIn(await reportOf(story.ledger, [ADS], ['acme', 'newcomer'])), { expected: 10, there: 10, missing: 0 })
})

t.test('a day that changed twice is one day, from what it first was to what it is now', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', ['acme', 'globex'])
  const at = nextMorning('2026-11-21')
  for (const [client, before, after, when] of [
    ['acme', '3000', '3300', at],
    ['acme', '3300', '3150.5', at + HOUR],
    ['globex', '3000', '3000', at],
  ] as const) {
    const restated = { added: 20, removed: 5, totalsBefore: { clicks: before }, totalsAfter: { clicks: after } }
    await tellDay(story, 'ads', client, '2026-11-17', { at: when, restated })
  }
  await tellDay(story, 'ads', 'globex', '2026-11-18', { at: Date.parse('2026-11-23T08:00:00Z'), restated: {} })
  const [ads] = (await reportOf(story.ledger, [ADS], ['acme', 'globex'])).pipelines
  t.same(ads?.restated, {
    days: 2,
    clients: 2,
    added: 60,
    removed: 15,
    moved: [{ column: 'clicks', before: '6000', after: '6150.5' }],
    oldest: 5,
    lookback: 3,
    measuredLookback: null,
  })
})

t.test('rejects are those of the days as they are now, with the clients and rules that have most', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', ['acme', 'globex'])
  const rejecting = (day: string, rejected: number, rejectedBy: Record<string, number>) => ({
    more: { days: [{ day, rows: 90, rejected, fingerprint: 'x', totals: {} }], rejectedBy },
  })
  await tellDay(story, 'ads', 'acme', WEEK.from, rejecting(WEEK.from, 50, { minimum: 50 }))
  await tellDay(story, 'ads', 'acme', WEEK.from, rejecting(WEEK.from, 2, { minimum: 1, required: 1 }))
  await tellDay(story, 'ads', 'globex', SUNDAY, rejecting(SUNDAY, 7, { required: 7 }))
  await tellDay(story, 'ads', 'globex', '2026-11-15', rejecting('2026-11-15', 9, { pattern: 9 }))
  const [ads] = (await reportOf(story.ledger, [ADS], ['acme', 'globex'])).pipelines
  t.same(ads?.rejects, {
    rejected: 9,
    rules: [
      { rule: 'required', rejected: 8 },
      { rule: 'minimum', rejected: 1 },
    ],
    clients: [
      { client: 'globex', rejected: 7 },
      { client: 'acme', rejected: 2 },
    ],
  })
})

t.test('what it took is the work of the week, whatever days it was about', async t => {
  const story = fresh(t)
  const api = { requests: 4, retries: 1, waitedMs: 2_000, bytes: 1, pages: 1 }
  const more = { api, cost: { jobs: 2, bytesBilled: 10_485_760, slotMs: 900 } }
  await tellDay(story, 'ads', 'acme', '2026-10-01', { at: Date.parse('2026-11-16T00:00:00Z'), more })
  await tellDay(story, 'ads', 'acme', '2026-11-15', { at: Date.parse('2026-11-15T23:59:59Z'), more })
  await tellDay(story, 'ads', 'acme', SUNDAY, { at: Date.parse('2026-11-23T00:00:00Z'), more })
  const [ads] = (await reportOf(story.ledger, [ADS], ['acme'])).pipelines
  t.match(ads?.work, { attempts: 1, requests: 4, retries: 1, waitedMs: 2_000, jobs: 2, bytesBilled: 10_485_760, slotMs: 900 })
})

t.test('a change of the API is told of in the week in which it was first seen', async t => {
  const story = fresh(t)
  const drift = { change: 'added', path: 'video.views', value: 'number', count: 9, records: 10, before: 'not there' } as const
  for (const day of ['2026-11-14', '2026-11-17']) {
    await tellDay(story, 'ads', 'acme', day, { more: { drifts: [{ ...drift, path: `of.${day}` }] } })
  }
  const [ads] = (await reportOf(story.ledger, [ADS], ['acme'])).pipelines
  t.match(ads?.drifts, [{ path: 'of.2026-11-17', clients: 1 }])
  t.equal(ads?.drifts.length, 1)
})

t.test('what is to be done stands in order of its urgency, each with the command for it', async t => {
  const story = fresh(t)
  const clients = ['acme', 'globex', HOSTILE]
  const shops = pipelineOf('shops', { schedule: [] })
  await tellDays(story, 'ads', clients, WEEK, (day, client) => {
    if (client === HOSTILE && day === '2026-11-19') return undefined
    return client === 'globex' && day === SUNDAY ? { ends: { state: 'held', problem: PROBLEM } } : {}
  })
  await tellDays(story, 'shops', ['acme'], WEEK, day => (day === '2026-11-18' ? undefined : {}))
  const { fixes } = await reportOf(story.ledger, [ADS, shops], clients)
  t.match(fixes, [
    {
      level: 'block',
      what: /^ads: held: 1 chunk of client globex not published/,
      clients: 1,
      commands: [
        'headrace status --pipeline ads --clients globex',
        'headrace retry --pipeline ads --client globex --from 2026-11-22',
      ],
    },
    { level: 'ticket', what: /^ads: completeness: 1 days missing/, rows: 1_000, clients: 1 },
    {
      level: 'ticket',
      what: 'shops: 1 day missing (2026-11-18) for client acme',
      since: Date.parse('2026-11-19T00:00:00Z'),
      commands: ['headrace backfill --pipeline shops --from 2026-11-18 --to 2026-11-18 --clients acme --missing'],
    },
  ])
  t.equal(fixes.length, 3)
})

t.test('whatever a client is called, a shell takes the command for what it says', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', [HOSTILE, 'acme'], WEEK, (day, client) =>
    client === HOSTILE && day === '2026-11-19' ? undefined : {},
  )
  const [fix] = (await reportOf(story.ledger, [ADS], [HOSTILE, 'acme'])).fixes
  const script = `headrace() { printf '%s\\n' "$@"; }; ${fix?.commands[0]}`
  const words = execFileSync('sh', ['-c', script], { encoding: 'utf8' }).trimEnd().split('\n')
  const name = `"${HOSTILE.replaceAll('"', '""')}"`
  const days = ['--from', '2026-11-19', '--to', '2026-11-19']
  t.same(words, ['backfill', '--pipeline', 'ads', ...days, '--clients', name, '--missing'])
})

t.test('pipelines and clients that nobody ever read do not look whole', async t => {
  const story = fresh(t)
  const { verdict } = await reportOf(story.ledger, [ADS], ['acme'])
  t.match(verdict, { whole: false, sentence: 'Week 2026-W47 is not whole: 1 of 1 day is not there, of 1 client: 1 missing.' })
})
