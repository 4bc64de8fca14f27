import t from 'tap'
import { defineConnector } from '../../lib/connector.ts'
import { TransientError } from '../../lib/errors.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { client, day } from '../../lib/mapping.ts'
import { resolveOptions } from '../../lib/options.ts'
import { definePipeline } from '../../lib/pipeline.ts'
import { estimatePlan } from '../../lib/plan/estimate.ts'
import { planBackfill, withReasons } from '../../lib/plan/plan.ts'
import { date, defineTable, string } from '../../lib/table.ts'
import { undisturbed } from '../../lib/testing/stage.ts'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import type { Charge, Publishing, Warehouse } from '../../lib/warehouse/warehouse.ts'
import { ledgerOf, publish } from '../published.ts'

const pipeline = definePipeline({
  name: 'visits',
  source: defineConnector<{ readonly date: string }>({ name: 'visits', async *pages() {} }),
  table: defineTable('web.visits', { client_id: string(), date: date() }, { partitionBy: 'date' }),
  map: { client_id: client(), date: day('date') },
  chunk: { days: 2 },
})

const free = duckdb({ path: 'never-opened.duckdb' })

/** A warehouse that only says what it would charge, and remembers what it was asked. */
function charging(charge: (publishing: Publishing) => Charge): Warehouse & { readonly asked: Publishing[] } {
  const asked: Publishing[] = []
  return {
    ...free,
    name: 'charging',
    asked,
    charge: async (_table, _totals, publishing) => {
      asked.push(publishing)
      return charge(publishing)
    },
  }
}

async function expected(
  ledger: Ledger,
  clients: readonly string[],
  { warehouse = free, window = { from: '2026-02-01', to: '2026-02-04' } } = {},
) {
  const due = await Array.fromAsync(withReasons(planBackfill(pipeline, { window, clients, missing: false }, ledger), ledger))
  return estimatePlan({ ledger, warehouse, settings: resolveOptions() }, pipeline, due, undisturbed)
}

t.test('without a history nothing is known, and that is said', async t => {
  t.same(await expected(ledgerOf(t), ['a']), {
    rows: { about: null, restsOn: 'nothing of this pipeline was published yet' },
    requests: { about: null, restsOn: 'no chunk of this pipeline was read yet' },
    seconds: { about: null, restsOn: 'no chunk of this pipeline was read yet' },
    bytesBilled: { about: 0, restsOn: 'duckdb charges nothing' },
  })
})

t.test('rows follow the median day of each client, and of the others for one without a history', async t => {
  const ledger = ledgerOf(t)
  for (const [at, rows] of [10, 30, 1_000, 20].entries()) {
    await publish(ledger, 'visits', 'a', { from: `2026-01-0${at + 1}`, to: `2026-01-0${at + 1}` }, rows)
  }
  await publish(ledger, 'visits', 'b', { from: '2026-01-01', to: '2026-01-03' }, 7)
  await publish(ledger, 'others', 'c', { from: '2026-01-01', to: '2026-01-03' }, 1_000_000)
  t.match((await expected(ledger, ['a'])).rows, { about: 4 * 25, restsOn: /each client$/ })
  t.match((await expected(ledger, ['a', 'b'])).rows, { about: 4 * 25 + 4 * 7 })
  t.match((await expected(ledger, ['c', 'b'])).rows, { about: 4 * 16 + 4 * 7, restsOn: /for 1 without any/ })
})

t.test('old days do not count', async t => {
  const ledger = ledgerOf(t)
  await publish(ledger, 'visits', 'a', { from: '2025-01-01', to: '2025-03-31' }, 900)
  await publish(ledger, 'visits', 'a', { from: '2026-01-01', to: '2026-01-28' }, 3)
  t.equal((await expected(ledger, ['a'])).rows.about, 12)
})

t.test('requests and time follow the newest chunks, day for day', async t => {
  const ledger = ledgerOf(t)
  const from = '2026-01-01'
  // Two that ran side by side, a pause, and a third: 4 s of work on 8 days.
  await publish(ledger, 'visits', 'a', { from, to: '2026-01-02' }, 1, { requests: 3, startedAt: 1_000, finishedAt: 3_000 })
  await publish(ledger, 'visits', 'b', { from, to: '2026-01-02' }, 1, { requests: 3, startedAt: 2_000, finishedAt: 4_000 })
  await publish(ledger, 'visits', 'c', { from, to: '2026-01-04' }, 1, { requests: 6, startedAt: 90_000, finishedAt: 91_000 })
  t.match(await expected(ledger, ['a', 'd', 'e', 'f']), {
    requests: { about: 24, restsOn: 'the newest 3 chunks, day for day' },
    seconds: { about: 8 },
  })
})

t.test('a charge is asked for every commit, with whether it replaces, and for few of many', async t => {
  const ledger = ledgerOf(t)
  await publish(ledger, 'visits', 'a', { from: '2026-02-03', to: '2026-02-04' })
  const warehouse = charging(({ chunks, replacing }) => ({ kind: 'bytes', bytes: chunks.length + (replacing ? 1_000 : 0) }))
  const clients = ['a', ...Array.from({ length: 49 }, (_, index) => `x${index}`)]
  t.match((await expected(ledger, clients, { warehouse })).bytesBilled, {
    about: 1_100,
    restsOn: /^dry runs of 2 commits, as if/,
  })
  t.same(
    warehouse.asked.map(({ chunks, replacing }) => [chunks[0]?.window.from, chunks.length, replacing]),
    [
      ['2026-02-01', 50, false],
      ['2026-02-03', 50, true],
    ],
  )
  warehouse.asked.length = 0
  const year = { from: '2024-01-01', to: '2024-12-31' }
  t.match((await expected(ledger, clients, { warehouse, window: year })).bytesBilled, {
    about: 50 * 183,
    restsOn: /^dry runs of 183 commits, 10 of them asked about/,
  })
  t.equal(warehouse.asked.length, 10)
})

t.test('a warehouse that does not know, or cannot be asked, leaves it unknown', async t => {
  const ledger = ledgerOf(t)
  const unsure = charging(() => ({ kind: 'unknown', why: 'no table' }))
  t.same((await expected(ledger, ['a'], { warehouse: unsure })).bytesBilled, { about: null, restsOn: 'no table' })
  const down = charging(() => {
    throw new TransientError('WAREHOUSE_FAILED', { message: 'no answer' })
  })
  t.same((await expected(ledger, ['a'], { warehouse: down })).bytesBilled, {
    about: null,
    restsOn: 'WAREHOUSE_FAILED: no answer',
  })
  const broken = charging(() => {
    throw new TypeError('a defect')
  })
  await t.rejects(expected(ledger, ['a'], { warehouse: broken }), /a defect/)
})
