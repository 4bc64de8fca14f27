import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { daysOf } from '../../../lib/chunk.ts'
import { AdsApi, ad, adsPipeline } from '../../support/ads.ts'
import type { PostgresServer } from '../../support/postgres.ts'
import { rows, run } from '../../support/run.ts'
import { step } from './step.ts'

/** Two backfills share one run, from the API to DuckDB, while the server crashes and is away for two seconds. */
export async function backfills(server: PostgresServer): Promise<void> {
  process.env.DATABASE_URL = await server.database('backfills')
  const folder = mkdtempSync(join(tmpdir(), 'headrace-postgres-'))
  try {
    const window = { from: '2026-01-01', to: '2026-01-20' }
    const clients = Array.from({ length: 6 }, (_, index) => `client-${index}`)
    const api = new AdsApi()
    for (const client of clients)
      for (const day of daysOf(window)) api.set(client, day, [ad(client, day, 'x'), ad(client, day, 'y')])
    const pipeline = adsPipeline(api.connector(10), { days: 1 })
    const fault = async (): Promise<void> => void (await delay(10))
    // Of one host: only there two processes can reach one file, and whoever comes from another is told so while the first one creates it.
    const both = Promise.all(['one 1 1', 'one 2 2'].map(owner => run({ folder, pipeline, ...window, clients, owner, fault })))
    await delay(1_000)
    await server.crash()
    await delay(2_000)
    await server.restart()
    const results = await both
    assert.deepEqual(
      results.map(({ exitCode }) => exitCode),
      [0, 0],
    )
    const [found] = await rows(
      folder,
      'SELECT count(*) AS rows, count(DISTINCT (client_id, date, campaign_id)) AS keys FROM ads.campaigns',
    )
    const expected = String(clients.length * 20 * 2)
    assert.deepEqual(found, { rows: expected, keys: expected })
    step('two backfills of one run while the server crashes and is away', { chunks: clients.length * 20, rows: found?.rows })
  } finally {
    delete process.env.DATABASE_URL
    rmSync(folder, { recursive: true, force: true })
  }
}
