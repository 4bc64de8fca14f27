import t from 'tap'
import { cost, credentials, fields, held, newFields, quota, rejects } from '../../lib/monitor/standing.ts'
import type { GrantStatus } from '../../lib/standing/grants.ts'
import { agoMs, dayAgo, daysOfClient, watchedOf, YESTERDAY } from './kit.ts'

const clients = [{ id: 'a', timeZone: 'UTC' }]

t.test('chunks that are held for one reason are one finding', async t => {
  const chunk = (client: string, state: 'held' | 'failed' | 'parked', code: 'VOLUME_DROP' | 'API_FAILED') => ({
    chunk: { pipeline: 'clicks', client, window: { from: YESTERDAY, to: YESTERDAY } },
    state,
    runId: 'r',
    attempts: 1,
    problem: { code, message: `${client} stopped`, hint: null },
    notBefore: 0,
  })
  const problems = [
    chunk('a', 'held', 'VOLUME_DROP'),
    chunk('b', 'held', 'VOLUME_DROP'),
    chunk('c', 'failed', 'API_FAILED'),
    chunk('d', 'parked', 'API_FAILED'),
  ]
  t.match(held(watchedOf({ clients, problems })), [
    {
      level: 'block',
      subject: 'ads VOLUME_DROP',
      what: '2 chunks of 2 clients (a, b) not published (2026-03-05): VOLUME_DROP, the first: a stopped',
    },
    {
      level: 'block',
      subject: 'ads API_FAILED',
      what: '1 chunk of client c not published (2026-03-05): API_FAILED, the first: c stopped',
    },
  ])
})

t.test('fields that went are urgent, fields that came are not', async t => {
  const drift = (change: 'missing' | 'added' | 'type_changed' | 'value_added', path: string, value = '') => ({
    change,
    path,
    value,
    count: 30,
    records: 40,
    before: 'always there',
    first: { client: 'a', window: { from: YESTERDAY, to: YESTERDAY }, runId: 'r', at: agoMs(1) },
    lastAt: agoMs(0),
    clients: 3,
  })
  const watched = watchedOf({
    clients,
    drifts: [drift('missing', 'cost'), drift('added', 'spend'), drift('value_added', 'device', '"tv"')],
  })
  t.match(fields(watched), [
    { level: 'page', subject: 'missing cost', since: agoMs(1), what: /^cost is absent in 30 of 40 records.*3 in all$/ },
  ])
  t.match(newFields(watched), [
    { level: 'report', subject: 'added spend' },
    { level: 'report', subject: 'value_added device "tv"' },
  ])
})

t.test('far more rejects than usual are found, as many as ever are not', async t => {
  const rejecting = (usual: number, now: number) =>
    watchedOf({ days: daysOfClient('a', ago => ({ rows: 10_000, rejected: ago === 0 ? now : usual })) })
  t.match(rejects(rejecting(2, 60)), [
    {
      level: 'ticket',
      places: [{ client: 'a', day: YESTERDAY }],
      what: '2026-03-05: 60 of 10,060 rows rejected (0.6 %), client a',
    },
  ])
  t.strictSame(rejects(rejecting(50, 60)), [])
  t.strictSame(rejects(rejecting(0, 9)), [], 'nine are too few')
})

t.test('a day that costs too much makes a ticket, and without a budget nothing does', t => {
  const budget = { bytesPerDay: 1_000 }
  const billed = (day: number) => ({ day, month: 1e15 })
  t.match(cost(watchedOf({ clients, bytesBilled: billed(1_001), more: { budget } })), [
    { level: 'ticket', subject: 'day', what: '1,001 bytes billed within 24 hours, 1,000 allowed' },
  ])
  t.strictSame(cost(watchedOf({ clients, bytesBilled: billed(1_000), more: { budget } })), [])
  t.strictSame(cost(watchedOf({ clients, bytesBilled: billed(1e15) })), [])
  t.end()
})

t.test('a month that is nearly spent makes a ticket, one that is spent wakes somebody', t => {
  const after = (month: number, budgetShare = 0.8) =>
    cost(
      watchedOf({
        clients,
        bytesBilled: { day: 1e15, month },
        more: { budget: { bytesPerMonth: 100_000 }, thresholds: { budgetShare } },
      }),
    )
  t.strictSame(after(79_999), [])
  t.match(after(80_000), [
    { level: 'ticket', subject: 'month', what: '80,000 bytes billed since the month began, 80 % of 100,000' },
  ])
  t.match(after(99_999), [{ level: 'ticket' }])
  t.match(after(100_000), [{ level: 'page', subject: 'month' }])
  t.match(after(50_000, 0.5), [{ level: 'ticket' }])
  t.end()
})

t.test('a budget of nothing is refused', t => {
  for (const budget of [{ bytesPerDay: 0 }, { bytesPerDay: Number.NaN }]) {
    t.throws(() => watchedOf({ more: { budget } }), {
      code: 'PIPELINE_INVALID',
      message: /budget\.bytesPerDay \S+ is not a number above 0/,
    })
  }
  t.throws(() => watchedOf({ more: { budget: { bytesPerMonth: -1 } } }), {
    message: /budget\.bytesPerMonth -1 is not a number above 0/,
  })
  t.end()
})

t.test('a quota of which little is left is told of by the API and its name', t => {
  const quotas = new Map([
    ['day', 0.099],
    ['hour', 0.1],
  ])
  const [finding, ...others] = quota(watchedOf({ clients, quotas }))
  t.strictSame(others, [])
  t.match(finding, {
    level: 'ticket',
    subject: 'ads day',
    what: 'ads day: 9.9 % of the quota left, the least that an answer of the last hour has said',
  })
  t.strictSame(quota(watchedOf({ clients, quotas, more: { thresholds: { quotaShare: 0.05 } } })), [])
  t.match(quota(watchedOf({ clients, quotas: new Map([['day', 0]]) })), [{ what: /^ads day: 0 % of the quota left/ }])
  t.end()
})

t.test('grants that do not work wake somebody, those that will end make a ticket', async t => {
  const now = agoMs(0)
  const grant = (name: string, more: Partial<GrantStatus>): GrantStatus => ({
    grant: `google/${name}`,
    provider: 'google',
    state: 'usable',
    configured: true,
    obtainedAt: null,
    accessExpiresAt: null,
    refreshExpiresAt: null,
    olderKey: false,
    refusal: null,
    ...more,
  })
  const grants = [
    grant('good', {}),
    grant('old', { configured: false, state: 'refused' }),
    grant('gone', { state: 'refused' }),
    grant('week', { refreshExpiresAt: agoMs(-3) }),
    grant('hour', { refreshExpiresAt: now + 1_000 }),
    grant('late', { refreshExpiresAt: agoMs(-30) }),
  ]
  t.match(
    credentials(grants, now).map(({ level, what }) => [level, what]),
    [
      ['page', '1 grant of google refused: google/gone'],
      ['ticket', '1 grant of google ending within a week: google/week'],
      ['page', '1 grant of google ending within the hour: google/hour'],
    ],
  )
  t.equal(dayAgo(0), YESTERDAY)
})
