import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Registry } from 'prom-client'
import t from 'tap'
import { type BackfillResult, backfill, createLog, defineConfig, sqlite } from '../../lib/index.ts'
import { verify } from '../../lib/standing/verify.ts'
import { AdsApi, ad, adsPipeline } from '../support/ads.ts'
import { openBigQuery } from './hosts.ts'

const WINDOW = { from: '2026-01-01', to: '2026-01-03' }
const CLIENTS = ['a', 'b'] as const
const NEVER = new AbortController().signal
const CALL = { signal: NEVER, warn: () => {} }

t.test('a backfill into BigQuery is published, found unchanged, restated and verified, and its cost is remembered', async t => {
  const host = await openBigQuery()
  const folder = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  const path = join(folder, 'ledger.sqlite')
  const ledger = sqlite({ path })
  t.teardown(async () => {
    await ledger.close()
    await host.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const api = new AdsApi()
  for (const client of CLIENTS) {
    for (const day of ['2026-01-01', '2026-01-02', '2026-01-03']) {
      api.set(client, day, [ad(client, day, '1', 3), ad(client, day, '2', 4), ad(client, day, '3', -1)])
    }
  }
  const pipeline = adsPipeline(api.connector(2), { days: 3, checks: { rejects: { atMost: 0.5 } } })
  const config = defineConfig({ pipelines: [pipeline], clients: CLIENTS, warehouse: host.warehouse, ledger })
  const registry = new Registry()
  const run = (registry: Registry = new Registry()): Promise<BackfillResult> =>
    backfill(
      config,
      { pipeline, window: WINDOW, clients: CLIENTS },
      { log: createLog('silent'), registry, observe: () => {}, control: { stop: NEVER, abort: NEVER } },
    )
  const first = await run(registry)
  t.match(first, { exitCode: 0, totals: { states: { published: { chunks: 2, inserted: 12, rejected: 6 } } } })
  t.equal((await host.rows(pipeline.table)).length, 12)
  t.equal((await host.warehouse.rejects(pipeline.table, { limit: 100 }, CALL)).length, 6)

  const whole = host.server.jobs.filter(({ parent }) => parent === undefined)
  const billed = whole.reduce((sum, { details }) => sum + Number(details.totalBytesBilled ?? 0), 0)
  const database = new DatabaseSync(path, { readOnly: true })
  const remembered = database
    .prepare(
      "SELECT total(json_extract(summary, '$.cost.bytesBilled')) AS bytes, total(json_extract(summary, '$.cost.jobs')) AS jobs FROM attempt",
    )
    .get()
  database.close()
  const counted = async (name: string): Promise<number | undefined> =>
    (await registry.getSingleMetric(name)?.get())?.values[0]?.value
  t.ok(Number(remembered?.bytes) > 0 && Number(remembered?.bytes) <= billed, `${remembered?.bytes} of ${billed} bytes`)
  t.equal(await counted('headrace_warehouse_bytes_billed_total'), Number(remembered?.bytes))
  t.equal(await counted('headrace_warehouse_jobs_total'), Number(remembered?.jobs))

  t.match(await run(), { exitCode: 0, totals: { states: { unchanged: { chunks: 2, inserted: 0 } } } })
  api.set('a', '2026-01-02', [ad('a', '2026-01-02', '1', 5)])
  t.match(await run(), {
    exitCode: 0,
    totals: { restatedDays: 1, states: { published: { chunks: 1 }, unchanged: { chunks: 1 } } },
  })
  t.equal((await host.rows(pipeline.table)).length, 11)

  t.match(await verify(pipeline, config, { limit: 10 }, CALL), { clients: 2, days: 6, rows: 11, divergences: [] })
  await host.spoil(pipeline.table, 'b')
  t.equal((await verify(pipeline, config, { limit: 10 }, CALL)).divergences.length, 3)
  t.match(
    await run(),
    { exitCode: 0, totals: { states: { published: { chunks: 1, inserted: 6 } } } },
    'what is not there is written again',
  )
  t.equal((await verify(pipeline, config, { limit: 10 }, CALL)).divergences.length, 0)
})
