import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { AnyRow } from '../../lib/row.ts'
import { stageDraft } from '../../lib/testing/stage.ts'
import { Client } from '../../lib/warehouse/bigquery/client.ts'
import { compileJson } from '../../lib/warehouse/bigquery/json.ts'
import { type BigQueryOptions, settingsOf } from '../../lib/warehouse/bigquery/options.ts'
import { LoadArea } from '../../lib/warehouse/bigquery/staging.ts'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import type { Member, Staging, Warehouse } from '../../lib/warehouse/warehouse.ts'
import { type BigQueryServer, startBigQuery } from '../servers/bigquery/server.ts'
import { ads } from '../warehouse/kit.ts'

/** A staging area on a local server, without the rest of the warehouse. */
export interface Area {
  readonly server: BigQueryServer
  readonly client: Client
  readonly area: LoadArea
  readonly spool: string
  /** Stages rows of `ads` as a chunk does. */
  stage(rows: readonly AnyRow[]): Promise<Member>
  /** Opens a staging and writes lines to it; it is not sealed yet. */
  write(attemptId: string, lines: readonly string[]): Promise<Staging>
  /** Names and contents of what is staged on the server: the values of the column `name`, by table. */
  staged(): Promise<Record<string, string[]>>
  spooled(): string[]
}

/** Opens one; it is closed after the test. */
export async function openArea(t: Test, options: BigQueryOptions = {}): Promise<Area> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  const server = await startBigQuery()
  t.teardown(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const spool = join(folder, 'spool')
  const { project, location, url: apiEndpoint } = server
  const client = new Client(settingsOf({ project, location, apiEndpoint, spool, retrySeconds: 0.005, ...options }, {}))
  const json = { datasetReference: { projectId: project, datasetId: 'headrace_staging' }, location }
  await client.send({ method: 'POST', path: '/datasets', json })
  const area = new LoadArea(client)
  // Only staging and encoding are asked of it.
  const warehouse: Warehouse = {
    ...duckdb({ path: join(folder, 'none') }),
    encoder: compileJson,
    stage: (table, id) => area.stage(table, id),
  }
  return {
    server,
    client,
    area,
    spool,
    stage: rows => stageDraft(warehouse, ads, { client: 'a', from: '2026-01-01', rows }),
    write: async (attemptId, lines) => {
      const staging = await area.stage(ads, attemptId)
      await staging.write(Buffer.from(lines.map(line => `${line}\n`).join('')), lines.length, '2026-01-01')
      return staging
    },
    staged: async () => {
      const tables = await server.query(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'headrace_staging' ORDER BY 1",
      )
      const found: Record<string, string[]> = {}
      for (const { table_name: name } of tables) {
        const rows = await server.query(`SELECT name FROM headrace_staging."${name}" ORDER BY 1`)
        found[String(name)] = rows.map(row => String(row.name))
      }
      return found
    },
    spooled: () => readdirSync(spool),
  }
}

/** A line of `ads` as it is staged. */
export function adLine(name: string, more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ client_id: 'a', date: '2026-01-01', name, clicks: 1, cost: '0.5', note: null, ...more })
}
