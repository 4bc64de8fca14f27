import assert from 'node:assert/strict'
import { built } from '../../../grafana/src/build.ts'
import { postgres } from '../../../lib/ledger/postgres.ts'
import { begin, claimOf, PROBLEM, publish, summaryOf } from '../../../lib/testing/ledger-case.ts'
import type { PostgresServer } from '../../support/postgres.ts'
import { step } from './step.ts'

/** The tables of the dashboard Clients, on a ledger with a day that is published and a chunk that failed. */
export async function dashboard(server: PostgresServer): Promise<void> {
  const url = await server.database('dashboard')
  const ledger = postgres({ url })
  const run = await begin(ledger)
  const claim = await claimOf(ledger, run)
  await ledger.settle(claim.attemptId, { state: 'failed', problem: PROBLEM, certain: true }, summaryOf(claim))
  await publish(ledger, await claimOf(ledger, run))
  await ledger.close()
  const { panels }: { panels: { title: string; targets?: { rawSql?: string }[] }[] } = JSON.parse(built()['clients.json'] ?? '')
  const found: Record<string, number> = {}
  for (const { title, targets = [] } of panels) {
    for (const { rawSql } of targets) {
      // What Grafana puts there for the choice of all pipelines.
      if (rawSql !== undefined) found[title] = (await server.query(url, rawSql.replace(/\$\{pipeline:pipe\}/, '.+'))).length
    }
  }
  assert.deepEqual(found, { 'Clients whose newest day is oldest': 1, 'Chunks that need somebody': 1, 'Days that changed': 0 })
  step('the tables of the dashboard Clients', found)
}
