import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bigquery } from '../../lib/index.ts'
import type { Table } from '../../lib/table.ts'
import type { WarehouseHost } from '../../lib/testing/warehouse.ts'
import type { BigQueryOptions } from '../../lib/warehouse/bigquery/options.ts'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import { type BigQueryServer, type Options as ServerOptions, startBigQuery } from '../servers/bigquery/server.ts'
import { execute, query } from '../warehouse/kit.ts'

/** A query in DuckDB's SQL that shows every value of a table as text; instants as microseconds since 1970. */
function showing(table: Table, name: string): string {
  const columns = Object.entries(table.columns).map(([column, { type }]) =>
    type === 'TIMESTAMP' ? `epoch_us("${column}")::VARCHAR AS "${column}"` : `"${column}"::VARCHAR AS "${column}"`,
  )
  return `SELECT ${columns.join(', ')} FROM ${name}`
}

function asTexts(rows: readonly Record<string, unknown>[]): Record<string, string | null>[] {
  return rows.map(row =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)])),
  )
}

/** A DuckDB file of its own. */
export async function openDuckDB(): Promise<WarehouseHost> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  const path = join(folder, 'warehouse.duckdb')
  return {
    warehouse: duckdb({ path }),
    another: () => duckdb({ path }),
    rows: async table => asTexts(await query(path, showing(table, table.name))),
    spoil: (table, client) => execute(path, `DELETE FROM ${table.name} WHERE client_id = '${client}'`),
    close: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** A BigQuery warehouse on a local server of its own. */
export interface BigQueryHost extends WarehouseHost {
  readonly server: BigQueryServer
  readonly options: BigQueryOptions
}

/** Starts a local server and opens the warehouse on it. Waits are short, deadlines are not met. */
export async function openBigQuery(options: BigQueryOptions = {}, serverOptions: ServerOptions = {}): Promise<BigQueryHost> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  const server = await startBigQuery(serverOptions)
  const all: BigQueryOptions = {
    project: server.project,
    location: server.location,
    apiEndpoint: server.url,
    spool: join(folder, 'spool'),
    retrySeconds: 0.01,
    ...options,
  }
  return {
    server,
    options: all,
    warehouse: bigquery(all),
    another: () => bigquery({ ...all, spool: join(folder, 'another spool') }),
    rows: async table => asTexts(await server.query(showing(table, table.name))),
    spoil: async (table, client) => void (await server.query(`DELETE FROM ${table.name} WHERE client_id = '${client}'`)),
    close: async () => {
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
