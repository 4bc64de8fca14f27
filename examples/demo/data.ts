import { fileURLToPath } from 'node:url'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'

/** 3,000,000 real US flights, January to June 2001 (US DOT, in the package vega-datasets). */
export const PARQUET = fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')))

/**
 * The flights as the demo API knows them. A revised day is what airlines do to their numbers afterwards: every tenth flight turns out seven
 * minutes later, every fiftieth did not fly at all. `n` is the place of a flight among all, so that a page is a range of it.
 */
export function flightsSql(revisedDays: readonly string[]): string {
  const revised = revisedDays.length === 0 ? 'false' : `date::DATE IN (${revisedDays.map(day => `DATE '${day}'`).join(', ')})`
  return (
    `WITH placed AS (SELECT *, row_number() OVER (ORDER BY origin, date, destination, delay, distance) AS n FROM '${PARQUET}') ` +
    'SELECT n, origin, date::DATE AS day, date AS scheduled, destination, distance, ' +
    `delay + CASE WHEN ${revised} AND n % 10 = 0 THEN 7 ELSE 0 END AS delay FROM placed WHERE NOT (${revised} AND n % 50 = 0)`
  )
}

/** What the flights of a day and route add up to. */
export const ROUTES_SQL =
  'SELECT row_number() OVER (ORDER BY origin, day, destination) AS n, origin, day, destination, count(*) AS flights, ' +
  'sum(distance)::BIGINT AS distance, sum(delay)::BIGINT AS delay, count(*) FILTER (delay <= 15) AS on_time ' +
  'FROM flights GROUP BY origin, day, destination'

/** An in-memory database of the demo's own; the warehouse is another. */
export async function openMemory(): Promise<DuckDBConnection> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' })
  return instance.connect()
}
