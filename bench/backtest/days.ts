import { DuckDBInstance } from '@duckdb/node-api'
import { PARQUET } from '../../examples/demo/data.ts'
import { daysOf, type Window } from '../../lib/chunk.ts'
import type { PublishedDay } from '../../lib/ledger/ledger.ts'
import type { PublishedChunk } from '../../lib/ledger/reader.ts'
import { type Fault, statementsOf } from './faults.ts'

/** The days there are flights of. */
export const HALF_YEAR: Window = { from: '2001-01-01', to: '2001-06-30' }

/** When a day is read: six hours after its end. */
const READ_AFTER_MS = 30 * 3_600_000

/** What the ledger would hold of one airport and day. */
export interface AirportDay {
  readonly day: PublishedDay
  readonly chunk: PublishedChunk
}

const BANDS = "CASE WHEN distance < 400 THEN 'short' WHEN distance < 1000 THEN 'medium' ELSE 'long' END"

/**
 * The airports whose code begins with one of some letters, and what the ledger would hold of them after half a year, with faults done to the flights
 * before they were read; by day.
 */
export async function publishedDays(
  faults: readonly Fault[],
  letters: string,
): Promise<{ airports: string[]; days: Map<string, AirportDay[]> }> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' })
  const database = await instance.connect()
  await database.run(
    `CREATE TABLE flights AS SELECT row_number() OVER () AS n, origin, date::DATE AS day, hour(date) AS hour, destination, distance, delay, ${BANDS} AS band ` +
      `FROM '${PARQUET}' WHERE date::DATE <= DATE '${HALF_YEAR.to}' AND contains('${letters}', origin[1])`,
  )
  const airports = (await database.runAndReadAll('SELECT DISTINCT origin FROM flights ORDER BY 1')).getRows().map(String)
  for (const [index, fault] of faults.entries()) for (const statement of statementsOf(fault, index)) await database.run(statement)
  const found = await database.runAndReadAll(
    'SELECT origin, day::VARCHAR AS day, count(*)::INTEGER AS rows, sum(distance)::INTEGER AS distance, sum(delay)::INTEGER AS delay, ' +
      'count(*) FILTER (destination IS NULL)::INTEGER AS nulls, min(distance)::INTEGER AS nearest, max(distance)::INTEGER AS furthest, ' +
      'min(delay)::INTEGER AS earliest, max(delay)::INTEGER AS latest, ' +
      "count(*) FILTER (band = 'short')::INTEGER AS short, count(*) FILTER (band = 'medium')::INTEGER AS medium, count(*) FILTER (band = 'long')::INTEGER AS long " +
      'FROM flights GROUP BY origin, day',
  )
  database.closeSync()
  const byPlace = new Map(found.getRowObjectsJson().map(row => [`${row.origin} ${row.day}`, row]))
  const missing = new Set(
    faults.flatMap(({ kind, airports: hit, window }) =>
      kind === 'missing' ? hit.flatMap(airport => daysOf(window).map(day => `${airport} ${day}`)) : [],
    ),
  )
  const days = daysOf(HALF_YEAR).map(day => {
    const published = airports.filter(airport => !missing.has(`${airport} ${day}`))
    return [day, published.map(airport => airportDay(airport, day, byPlace.get(`${airport} ${day}`) ?? {}))] as const
  })
  return { airports, days: new Map(days) }
}

function airportDay(client: string, day: string, row: Readonly<Record<string, unknown>>): AirportDay {
  const number = (name: string): number => Number(row[name] ?? 0)
  const publishedAt = Date.parse(day) + READ_AFTER_MS
  const rows = number('rows')
  const span = (least: string, most: string): { minimum: string; maximum: string } => ({
    minimum: String(row[least]),
    maximum: String(row[most]),
  })
  const totals = { distance: String(number('distance')), delay: String(number('delay')) }
  const columns = {
    destination: { nulls: number('nulls') },
    band: { values: { short: number('short'), medium: number('medium'), long: number('long') } },
    ...(rows === 0 ? {} : { distance: span('nearest', 'furthest'), delay: span('earliest', 'latest') }),
  }
  return {
    day: {
      client,
      day,
      rows,
      rejected: 0,
      fingerprint: '',
      totals,
      attemptId: '',
      publishedAt,
      readAt: publishedAt,
      doubtful: false,
    },
    chunk: { client, from: day, to: day, rows, finishedAt: publishedAt, columns, sourceTotals: [] },
  }
}
