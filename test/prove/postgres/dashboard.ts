import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { built } from '../../../grafana/src/build.ts'
import { postgres } from '../../../lib/ledger/postgres.ts'
import { begin, claimOf, PROBLEM, publish, summaryOf } from '../../../lib/testing/ledger-case.ts'
import { PASSWORD, type PostgresServer } from '../../support/postgres.ts'
import { step } from './step.ts'

const READER = fileURLToPath(new URL('../../../examples/deploy/ledger-reader.sh', import.meta.url))

/** The address of a database for the account that the example makes in it. */
function makeReader(server: PostgresServer, database: string): string {
  const env = {
    PATH: `${server.programs}:${process.env.PATH}`,
    PGHOST: '127.0.0.1',
    PGPORT: String(server.port),
    PGPASSWORD: PASSWORD,
    POSTGRES_USER: 'headrace',
    POSTGRES_DB: database,
    LEDGER_PASSWORD: 'only-reads',
  }
  execFileSync(READER, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const url = new URL(server.url(database))
  url.username = 'ledger_reader'
  url.password = env.LEDGER_PASSWORD
  return url.href
}

/** The tables of the dashboard Clients, on a ledger with a day that is published and a chunk that failed, as whom Grafana is there. */
export async function dashboard(server: PostgresServer): Promise<void> {
  const url = await server.database('dashboard')
  const reader = makeReader(server, 'dashboard')
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
      if (rawSql !== undefined) found[title] = (await server.query(reader, rawSql.replace(/\$\{pipeline:pipe\}/, '.+'))).length
    }
  }
  assert.deepEqual(found, { 'Clients whose newest day is oldest': 1, 'Chunks that need somebody': 1, 'Days that changed': 0 })
  await assert.rejects(server.query(reader, 'DELETE FROM headrace.chunk'), /permission denied/)
  step('the tables of the dashboard Clients, for an account that may only read', found)
}
