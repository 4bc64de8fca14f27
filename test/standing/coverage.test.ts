import t from 'tap'
import { coverage, coverageOf } from '../../lib/standing/coverage.ts'
import { leaveOpen, ledgerOf, publish, publishedDay } from '../published.ts'

t.test('a client of whom nothing is published has no coverage, and no gap either', async t => {
  t.same(coverageOf('a', []), {
    client: 'a',
    first: null,
    last: null,
    completeThrough: null,
    gaps: [],
    days: 0,
    rows: 0,
    emptyDays: 0,
    publishedAt: null,
  })
})

t.test('coverage without a gap is complete through its last day', async t => {
  const days = [publishedDay('2026-02-27', { rows: 3, publishedAt: 9 }), publishedDay('2026-02-28', { rows: 0, publishedAt: 5 })]
  t.same(coverageOf('a', days), {
    client: 'a',
    first: '2026-02-27',
    last: '2026-02-28',
    completeThrough: '2026-02-28',
    gaps: [],
    days: 2,
    rows: 3,
    emptyDays: 1,
    publishedAt: 9,
  })
})

t.test('coverage is complete up to the day before its first gap', async t => {
  const days = ['2026-01-01', '2026-01-02', '2026-01-05', '2026-01-07'].map(day => publishedDay(day))
  const { completeThrough, gaps, last } = coverageOf('a', days)
  t.equal(completeThrough, '2026-01-02')
  t.equal(last, '2026-01-07')
  t.same(gaps, [
    { from: '2026-01-03', to: '2026-01-04' },
    { from: '2026-01-06', to: '2026-01-06' },
  ])
})

t.test('a day in doubt counts as a gap, and not at all at either end', async t => {
  const days = [
    publishedDay('2026-01-01', { doubtful: true }),
    publishedDay('2026-01-02'),
    publishedDay('2026-01-03', { doubtful: true, rows: 100 }),
    publishedDay('2026-01-04'),
    publishedDay('2026-01-05', { doubtful: true }),
  ]
  t.match(coverageOf('a', days), {
    first: '2026-01-02',
    last: '2026-01-04',
    completeThrough: '2026-01-02',
    gaps: [{ from: '2026-01-03', to: '2026-01-03' }],
    days: 2,
    rows: 2,
  })
  t.equal(coverageOf('a', [publishedDay('2026-01-01', { doubtful: true })]).first, null)
})

t.test('coverage is told of every client the ledger knows, or of those asked for', async t => {
  const ledger = ledgerOf(t)
  await publish(ledger, 'visits', 'a', { from: '2026-01-01', to: '2026-01-02' }, 2)
  await publish(ledger, 'visits', 'b', { from: '2026-01-01', to: '2026-01-01' })
  await publish(ledger, 'other', 'c', { from: '2026-01-01', to: '2026-01-01' })
  await leaveOpen(ledger, 'visits', 'a', { from: '2026-01-02', to: '2026-01-02' })
  const all = await Array.fromAsync(coverage(ledger, 'visits'))
  t.same(all.map(({ client, days, rows }) => `${client} ${days} ${rows}`).sort(), ['a 1 2', 'b 1 1'])
  const asked = await Array.fromAsync(coverage(ledger, 'visits', ['b', 'nobody']))
  t.same(
    asked.map(({ client, days }) => `${client} ${days}`),
    ['b 1', 'nobody 0'],
  )
})
