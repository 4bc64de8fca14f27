import t from 'tap'
import { windowText } from '../../lib/chunk.ts'
import { compilePipeline } from '../../lib/compile.ts'
import type { Client } from '../../lib/config.ts'
import { defineConnector } from '../../lib/connector.ts'
import { duckdb } from '../../lib/index.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { client, day } from '../../lib/mapping.ts'
import { definePipeline } from '../../lib/pipeline.ts'
import { type DueRun, planDue } from '../../lib/plan/plan.ts'
import type { Schedule } from '../../lib/plan/schedule.ts'
import { date, defineTable, string } from '../../lib/table.ts'
import { leaveOpen, ledgerOf, publish } from '../published.ts'

const DAILY = { name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }
const WEEKLY = { name: 'weekly', cron: '0 3 * * SUN', lookbackDays: 30 }
const MONTHLY = { name: 'monthly', cron: '0 2 1 * *', lookbackDays: 60 }

const compiled = (schedule: readonly Schedule[], days = 3) => [
  compilePipeline(
    definePipeline({
      name: 'visits',
      source: defineConnector<{ readonly date: string }>({ name: 'web', async *pages() {} }),
      table: defineTable('web.visits', { client_id: string(), date: date() }, { partitionBy: 'date' }),
      map: { client_id: client(), date: day('date') },
      chunk: { days },
      schedule,
    }),
    duckdb({ path: '/nowhere/warehouse.duckdb' }),
  ),
]

const A: Client = { id: 'a', timeZone: 'UTC' }

/** A Wednesday. */
const NOW = Date.parse('2026-11-25T06:00:00Z')

function due(ledger: Ledger, schedule: readonly Schedule[], now = NOW, clients: readonly Client[] = [A]): Promise<DueRun[]> {
  return planDue(compiled(schedule), clients, ledger, now)
}

/** The chunks of runs as they are asked for. */
function texts(runs: readonly DueRun[]): string[] {
  return runs.flatMap(({ chunks }) =>
    chunks.map(
      ({ chunk: { client, window }, priority, why, reasons }) =>
        `${client} ${windowText(window)} ${priority} ${why}: ${reasons.join(', ')}`,
    ),
  )
}

/** Begins what is due, the way a daemon does. */
async function answer(ledger: Ledger, runs: readonly DueRun[]): Promise<void> {
  for (const { request, chunks, occasions } of runs) {
    await ledger.beginRun(
      request,
      chunks.map(({ chunk, priority }) => ({ ...chunk, priority })),
      { served: true, occasions },
    )
  }
}

t.test('a schedule is due once for each occasion, up to the day before', async t => {
  const ledger = ledgerOf(t)
  const runs = await due(ledger, [DAILY])
  t.same(texts(runs), ['a 2026-11-22..2026-11-24 live new: daily'])
  t.match(runs, [
    {
      request: { command: 'schedule', pipeline: 'visits', api: 'web', clients: ['a'], window: { to: '2026-11-24' } },
      occasions: [{ schedule: 'daily', client: 'a', at: NOW }],
    },
  ])
  await answer(ledger, runs)
  t.same(await due(ledger, [DAILY]), [])
  t.same(await due(ledger, [DAILY], NOW + 86_399_999), [])
  t.same((await due(ledger, [DAILY], NOW + 86_400_000)).length, 1)
})

t.test('a pipeline without schedules is never due', async t => {
  t.same(await due(ledgerOf(t), []), [])
})

t.test('daily, weekly and monthly at once give each day once, the newest days as live', async t => {
  t.same(
    texts(await due(ledgerOf(t), [DAILY, WEEKLY, MONTHLY], Date.parse('2026-11-01T06:00:00Z'))).slice(-3),
    [
      'a 2026-10-23..2026-10-25 backfill new: weekly, monthly',
      'a 2026-10-26..2026-10-28 backfill new: weekly, monthly',
      'a 2026-10-29..2026-10-31 live new: daily, weekly, monthly',
    ].slice(-3),
  )
})

t.test('after an outage the plan widens to the last complete day, and leaves out what is published', async t => {
  const ledger = ledgerOf(t)
  await publish(ledger, 'visits', 'a', { from: '2026-11-01', to: '2026-11-04' })
  await publish(ledger, 'visits', 'a', { from: '2026-11-07', to: '2026-11-12' })
  t.same(texts(await due(ledger, [DAILY])), [
    'a 2026-11-05..2026-11-06 backfill new: missing',
    'a 2026-11-13..2026-11-15 backfill new: missing',
    'a 2026-11-16..2026-11-17 backfill new: missing',
    'a 2026-11-18..2026-11-20 live new: missing',
    'a 2026-11-21..2026-11-23 live new: missing, daily',
    'a 2026-11-24 live new: daily',
  ])
})

t.test('the example of docs/scheduling.md is as it says', async t => {
  const ledger = ledgerOf(t)
  await publish(ledger, 'visits', 'a', { from: '2026-09-02', to: '2026-11-04' })
  await publish(ledger, 'visits', 'a', { from: '2026-11-07', to: '2026-11-12' })
  const monthly = await due(ledger, [MONTHLY])
  await answer(
    ledger,
    monthly.map(run => ({ ...run, chunks: [] })),
  )
  const plan = texts(await due(ledger, [DAILY, WEEKLY, MONTHLY], NOW + 1_800_000))
  t.equal(plan.length, 12)
  t.same(plan.reverse().slice(0, 6), [
    'a 2026-11-24 live new: daily',
    'a 2026-11-21..2026-11-23 live new: missing, weekly, daily',
    'a 2026-11-18..2026-11-20 live new: missing, weekly',
    'a 2026-11-16..2026-11-17 backfill new: missing, weekly',
    'a 2026-11-13..2026-11-15 backfill new: missing, weekly',
    'a 2026-11-10..2026-11-12 backfill again: weekly',
  ])
})

t.test('a day whose publication is in doubt is read again', async t => {
  const ledger = ledgerOf(t)
  await publish(ledger, 'visits', 'a', { from: '2026-11-01', to: '2026-11-24' })
  await leaveOpen(ledger, 'visits', 'a', { from: '2026-11-02', to: '2026-11-02' })
  t.same(texts(await due(ledger, [DAILY])), ['a 2026-11-02 backfill new: doubtful', 'a 2026-11-22..2026-11-24 live again: daily'])
})

t.test('what waits to be read is not asked for again, but for live days that wait in a backfill', async t => {
  const ledger = ledgerOf(t)
  const sunday = Date.parse('2026-11-22T05:00:00Z')
  const weekly = { ...WEEKLY, lookbackDays: 8 }
  const first = await due(ledger, [weekly], sunday)
  t.same(texts(first), [
    'a 2026-11-14..2026-11-16 backfill new: weekly',
    'a 2026-11-17..2026-11-19 backfill new: weekly',
    'a 2026-11-20..2026-11-21 backfill new: weekly',
  ])
  await answer(ledger, first)
  const second = await due(ledger, [weekly, DAILY], sunday + 3_600_000)
  t.same(texts(second), ['a 2026-11-19..2026-11-21 live new: daily'], 'the backfill may take days')
  await answer(ledger, second)
  const monday = sunday + 25 * 3_600_000
  t.same(texts(await due(ledger, [weekly, DAILY], monday)), ['a 2026-11-22 live new: daily'])
  t.same(texts(await due(ledger, [weekly, DAILY, { ...MONTHLY, lookbackDays: 10 }], monday)), [
    'a 2026-10-22..2026-10-24 backfill new: monthly',
    'a 2026-10-25..2026-10-27 backfill new: monthly',
    'a 2026-10-28..2026-10-30 backfill new: monthly',
    'a 2026-10-31..2026-11-02 backfill new: monthly, missing',
    'a 2026-11-03..2026-11-05 backfill new: missing',
    'a 2026-11-06..2026-11-08 backfill new: missing',
    'a 2026-11-09..2026-11-11 backfill new: missing',
    'a 2026-11-12..2026-11-13 backfill new: missing',
    'a 2026-11-22 live new: daily',
  ])
})

t.test('an occasion is answered although everything it wants already waits', async t => {
  const ledger = ledgerOf(t)
  const hourly = { name: 'hourly', cron: '0 * * * *', lookbackDays: 1 }
  await answer(ledger, await due(ledger, [hourly]))
  const next = await due(ledger, [hourly], NOW + 3_600_000)
  t.match(next, [{ chunks: [], occasions: [{ schedule: 'hourly', at: NOW + 3_600_000 }] }])
  await answer(ledger, next)
  t.same(await due(ledger, [hourly], NOW + 3_600_000), [])
})

t.test('every client is due on the clock of its own time zone', async t => {
  const clients = ['UTC', 'Pacific/Kiritimati', 'Asia/Kathmandu', 'America/Los_Angeles'].map(timeZone => ({
    id: timeZone,
    timeZone,
  }))
  t.same(texts(await due(ledgerOf(t), [{ ...DAILY, lookbackDays: 1 }], NOW, clients)), [
    'UTC 2026-11-24 live new: daily',
    'Pacific/Kiritimati 2026-11-24 live new: daily',
    'Asia/Kathmandu 2026-11-24 live new: daily',
    'America/Los_Angeles 2026-11-23 live new: daily',
  ])
})

t.test('a client that comes later is read from then on, and the others are not read again for it', async t => {
  const ledger = ledgerOf(t)
  await answer(ledger, await due(ledger, [DAILY]))
  t.match(await due(ledger, [DAILY], NOW, [A, { id: 'b', timeZone: 'UTC' }]), [
    { request: { clients: ['b'] }, chunks: { length: 1 } },
  ])
})

t.test('a run of which somebody else has answered one occasion begins nothing, and what is left of it is due', async t => {
  const ledger = ledgerOf(t)
  const both = [A, { id: 'b', timeZone: 'UTC' }]
  const [stale] = await due(ledger, [DAILY], NOW, both)
  await answer(ledger, await due(ledger, [DAILY]))
  if (stale !== undefined) await answer(ledger, [stale])
  t.same(texts(await due(ledger, [DAILY], NOW, both)), ['b 2026-11-22..2026-11-24 live new: daily'])
})
