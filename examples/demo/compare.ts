import { flightsSql, openMemory, ROUTES_SQL } from './data.ts'

/** What to compare: the clients and days that were published, and the days the API has revised since. */
export interface Comparison {
  readonly warehouse: string
  readonly clients: readonly string[]
  readonly from: string
  readonly to: string
  readonly revisedDays: readonly string[]
}

/** How a published table differs from what the source says, as multisets of whole rows. */
export interface Difference {
  readonly table: string
  readonly rows: number
  /** Rows of the source that the table lacks. */
  readonly missing: number
  /** Rows of the table that the source does not have. */
  readonly extra: number
}

/** The published columns, computed from the parquet file by a query that shares nothing with headrace. */
const EXPECTED = {
  'air.flights':
    'SELECT origin AS client_id, day AS date, scheduled::TIMESTAMP AS scheduled_at, destination, delay AS delay_minutes, distance AS distance_miles FROM flights',
  'air.routes':
    'SELECT origin AS client_id, day AS date, destination, flights, distance AS distance_miles, delay::DECIMAL(38,9) AS delay_minutes, ' +
    '((on_time * 1000000 // flights)::DECIMAL(28,9) / 1000000)::DECIMAL(38,9) AS on_time_share FROM routes',
} as const

const PUBLISHED = {
  'air.flights': "SELECT * REPLACE (scheduled_at AT TIME ZONE 'UTC' AS scheduled_at) FROM warehouse.air.flights",
  'air.routes': 'SELECT * FROM warehouse.air.routes',
} as const

/** Compares what was published with the parquet file, row for row. */
export async function compare({ warehouse, clients, from, to, revisedDays }: Comparison): Promise<Difference[]> {
  const database = await openMemory()
  const query = async (sql: string): Promise<Record<string, unknown>[]> => (await database.runAndReadAll(sql)).getRowObjectsJson()
  await query(`ATTACH '${warehouse}' AS warehouse (READ_ONLY)`)
  await query(`CREATE TABLE flights AS ${flightsSql(revisedDays)}`)
  await query(`CREATE TABLE routes AS ${ROUTES_SQL}`)
  const present = await query(
    "SELECT schema_name || '.' || table_name AS name FROM duckdb_tables() WHERE database_name = 'warehouse'",
  )
  const differences: Difference[] = []
  for (const table of ['air.flights', 'air.routes'] as const) {
    if (!present.some(({ name }) => name === table)) continue
    const expected =
      `SELECT * FROM (${EXPECTED[table]}) WHERE client_id IN (${clients.map(client => `'${client}'`).join(', ')}) ` +
      `AND date BETWEEN DATE '${from}' AND DATE '${to}'`
    const [found] = await query(
      `SELECT (SELECT count(*) FROM (${PUBLISHED[table]})) AS rows, ` +
        `(SELECT count(*) FROM (${expected} EXCEPT ALL ${PUBLISHED[table]})) AS missing, ` +
        `(SELECT count(*) FROM (${PUBLISHED[table]} EXCEPT ALL ${expected})) AS extra`,
    )
    differences.push({ table, rows: Number(found?.rows), missing: Number(found?.missing), extra: Number(found?.extra) })
  }
  // Until then the file is held, and nobody else can write to it.
  await query('DETACH warehouse')
  database.closeSync()
  return differences
}
