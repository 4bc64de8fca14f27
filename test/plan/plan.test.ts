import fc from 'fast-check'
import t from 'tap'
import { daysOf, fromEpochDay, toEpochDay, windowText } from '../../lib/chunk.ts'
import { defineConnector } from '../../lib/connector.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { client, day } from '../../lib/mapping.ts'
import { definePipeline } from '../../lib/pipeline.ts'
import { gaps, planBackfill, withReasons } from '../../lib/plan/plan.ts'
import { date, defineTable, string } from '../../lib/table.ts'
import { leaveOpen, ledgerOf, publish } from '../published.ts'

const pipeline = definePipeline({
  name: 'visits',
  source: defineConnector<{ readonly date: string }>({ name: 'visits', async *pages() {} }),
  table: defineTable('web.visits', { client_id: string(), date: date() }, { partitionBy: 'date' }),
  map: { client_id: client(), date: day('date') },
  chunk: { days: 3 },
})

const week = { from: '2026-01-01', to: '2026-01-07' }

async function planned(ledger: Ledger, clients: readonly string[], missing: boolean): Promise<string[]> {
  const due = await Array.fromAsync(withReasons(planBackfill(pipeline, { window: week, clients, missing }, ledger), ledger))
  return due.map(({ chunk, why, publishedDays }) => `${chunk.client} ${windowText(chunk.window)} ${why} ${publishedDays}`)
}

t.test('every client and every day is planned exactly once, client by client, oldest first', async t => {
  t.same(await planned(ledgerOf(t), ['b', 'a'], false), [
    'b 2026-01-01..2026-01-03 new 0',
    'b 2026-01-04..2026-01-06 new 0',
    'b 2026-01-07 new 0',
    'a 2026-01-01..2026-01-03 new 0',
    'a 2026-01-04..2026-01-06 new 0',
    'a 2026-01-07 new 0',
  ])
})

t.test('a chunk says how much of it was published before', async t => {
  const ledger = ledgerOf(t)
  await publish(ledger, 'visits', 'a', { from: '2026-01-02', to: '2026-01-06' })
  await publish(ledger, 'visits', 'b', { from: '2026-01-01', to: '2026-01-01' })
  await publish(ledger, 'other', 'a', { from: '2026-01-07', to: '2026-01-07' })
  t.same(await planned(ledger, ['a'], false), [
    'a 2026-01-01..2026-01-03 partly 2',
    'a 2026-01-04..2026-01-06 again 3',
    'a 2026-01-07 new 0',
  ])
})

t.test('only what is missing is planned when that is asked for, and a published day in doubt is missing', async t => {
  const ledger = ledgerOf(t)
  await publish(ledger, 'visits', 'a', { from: '2026-01-02', to: '2026-01-03' })
  await publish(ledger, 'visits', 'a', { from: '2026-01-06', to: '2026-01-06' })
  const plan = (): Promise<string[]> => planned(ledger, ['a'], true)
  t.same(await plan(), ['a 2026-01-01 new 0', 'a 2026-01-04..2026-01-05 new 0', 'a 2026-01-07 new 0'])
  await leaveOpen(ledger, 'visits', 'a', { from: '2026-01-03', to: '2026-01-03' })
  t.same(await plan(), ['a 2026-01-01 new 0', 'a 2026-01-03..2026-01-05 new 0', 'a 2026-01-07 new 0'])
})

t.test('nothing is planned when nothing is missing', async t => {
  const ledger = ledgerOf(t)
  await publish(ledger, 'visits', 'a', week)
  t.same(await planned(ledger, ['a'], true), [])
})

t.test('gaps are the longest stretches that hold none of the given days', async t => {
  t.same(gaps(week, new Set()), [week])
  t.same(gaps(week, new Set(daysOf(week))), [])
  t.same(gaps(week, new Set(['2025-12-31', '2026-01-01', '2026-01-03', '2026-01-07'])), [
    { from: '2026-01-02', to: '2026-01-02' },
    { from: '2026-01-04', to: '2026-01-06' },
  ])
  const first = toEpochDay('2026-02-20')
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 39 })), taken => {
      const window = { from: fromEpochDay(first), to: fromEpochDay(first + 39) }
      const days = new Set(taken.map(offset => fromEpochDay(first + offset)))
      const found = gaps(window, days)
      const open = found.flatMap(daysOf)
      const expected = daysOf(window).filter(day => !days.has(day))
      const apart = found.every(({ to }, index) => toEpochDay(found[index + 1]?.from ?? '9999-12-31') > toEpochDay(to) + 1)
      return JSON.stringify(open) === JSON.stringify(expected) && apart
    }),
  )
})
