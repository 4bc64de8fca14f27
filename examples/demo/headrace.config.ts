import { pageToken, rest } from '../../connectors/index.ts'
import { defineConfig, definePipeline, duckdb, ledger } from '../../lib/index.ts'
import { client, day, timestamp as instant, integer, micros, text } from '../../lib/mapping.ts'
import { date, defineTable, int64, numeric, string, timestamp } from '../../lib/table.ts'

// A configuration like yours, but for the imports: outside this repository they come from 'headrace', 'headrace/table', 'headrace/mapping' and
// 'headrace/rest'.

const API = process.env.DEMO_API ?? 'http://127.0.0.1:8080'
const headers = { authorization: `Bearer ${process.env.DEMO_KEY ?? 'demo-key'}` }
const folder = process.env.DEMO_FOLDER ?? 'demo-data'

const paging = {
  headers,
  query: { account: '{client}', from: '{from}', to: '{to}' },
  records: 'data',
  pages: pageToken({ param: 'page_token', next: 'next_page_token', size: { param: 'page_size', records: 1_000 } }),
  tokenExpired: { status: 410, body: 'PAGE_TOKEN_EXPIRED' },
}

/** One flight, as `/v1/flights` documents it. */
interface Flight {
  account: string
  flight_date: string
  scheduled_at: string
  destination: string
  delay_minutes: number
  distance_miles: number
}

const flights = definePipeline({
  name: 'flights',
  description: 'Every flight that left an airport.',
  source: rest<Flight>({ name: 'demo-flights', url: `${API}/v1/flights`, ...paging }),
  table: defineTable(
    'air.flights',
    {
      client_id: string({ pattern: '^[A-Z0-9]{3}$', description: 'Airport it left from.' }),
      date: date({ description: 'Day it was scheduled for.' }),
      scheduled_at: timestamp(),
      destination: string({ pattern: '^[A-Z0-9]{3}$' }),
      delay_minutes: int64({ minimum: -1_440, maximum: 2_880, description: 'Negative when it was early.' }),
      distance_miles: int64({ minimum: 1, maximum: 6_000 }),
    },
    { partitionBy: 'date', description: 'one row per flight; two equal rows are two flights' },
  ),
  map: {
    client_id: client('account'),
    date: day('flight_date'),
    scheduled_at: instant('scheduled_at'),
    destination: text('destination'),
    delay_minutes: integer('delay_minutes'),
    distance_miles: integer('distance_miles'),
  },
  schedule: [
    { name: 'daily', cron: '0 6 * * *', lookbackDays: 3 },
    { name: 'monthly', cron: '0 3 1 * *', lookbackDays: 60 },
  ],
  chunk: { days: 31 },
  totals: ['delay_minutes', 'distance_miles'],
})

/** What the flights of a day and route add up to, as `/v1/route-performance` documents it. */
interface RoutePerformance {
  account: { id: string }
  segments: { date: string }
  route: { destination: string }
  metrics: { flights: string; distanceMiles: string; delayMicros: string; onTimeShareMicros: string }
}

/** What all flights of the account add up to, on the first page. */
interface Summary {
  flights: string
  distanceMiles: string
  delayMicros: string
}

const routes = definePipeline({
  name: 'routes',
  description: 'How each route of an airport did on each day.',
  source: rest<RoutePerformance, Summary>({
    name: 'demo-routes',
    url: `${API}/v1/route-performance`,
    ...paging,
    totals: 'summary',
  }),
  table: defineTable(
    'air.routes',
    {
      client_id: string({ description: 'Airport the flights left from.' }),
      date: date(),
      destination: string(),
      flights: int64({ minimum: 1 }),
      distance_miles: int64({ minimum: 1 }),
      delay_minutes: numeric({ description: 'Sum over the flights.' }),
      on_time_share: numeric({ minimum: 0, maximum: 1, description: 'At most 15 minutes late.' }),
    },
    { partitionBy: 'date', key: ['client_id', 'date', 'destination'] },
  ),
  map: {
    client_id: client('account.id'),
    date: day('segments.date'),
    destination: text('route.destination'),
    flights: integer('metrics.flights'),
    distance_miles: integer('metrics.distanceMiles'),
    delay_minutes: micros('metrics.delayMicros'),
    on_time_share: micros('metrics.onTimeShareMicros'),
  },
  schedule: [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }],
  after: ['flights'],
  chunk: { days: 31 },
  totals: ['flights', 'distance_miles', 'delay_minutes'],
  sourceTotals: {
    flights: integer('flights'),
    distance_miles: integer('distanceMiles'),
    delay_minutes: micros('delayMicros'),
  },
})

export default defineConfig({
  timeZone: 'America/Chicago',
  pipelines: [flights, routes],
  clients: async signal => {
    const response = await fetch(`${API}/v1/accounts`, { headers, signal })
    if (!response.ok) throw new Error(`the API answers ${response.status}`)
    const { accounts } = (await response.json()) as { accounts: { id: string }[] }
    return accounts.map(({ id }) => id)
  },
  warehouse: duckdb({ path: `${folder}/warehouse.duckdb` }),
  ledger: ledger({ path: `${folder}/ledger.sqlite` }),
})
