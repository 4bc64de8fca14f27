import { pageToken, rest } from '../../../connectors/index.ts'
import { defineConfig, definePipeline, duckdb, ledger } from '../../../lib/index.ts'
import { client, day, integer, text } from '../../../lib/mapping.ts'
import { date, defineTable, int64, string } from '../../../lib/table.ts'
import { CLIENTS, LOOKBACK_DAYS, type Measure, PIPELINES } from './source.ts'

const { API = '', FOLDER = '', WORKER = '' } = process.env

const [first, second] = PIPELINES.map((name, index) =>
  definePipeline({
    name,
    source: rest<Measure>({
      name: 'ads-api',
      url: `${API}/${name}`,
      query: { client: '{client}', day: '{from}' },
      headers: { 'x-worker': WORKER },
      records: 'data',
      pages: pageToken({ param: 'page', next: 'next' }),
    }),
    table: defineTable(
      `shop.${name}`,
      { client_id: string(), date: date(), item: string(), clicks: int64({ minimum: 0 }) },
      { partitionBy: 'date', key: ['client_id', 'date', 'item'] },
    ),
    map: { client_id: client('account'), date: day('day'), item: text('item'), clicks: integer('clicks') },
    schedule: [{ name: 'yearly', cron: '0 0 1 1 *', lookbackDays: LOOKBACK_DAYS }],
    after: PIPELINES.slice(0, index),
    chunk: { days: 1 },
    totals: ['clicks'],
  }),
)

/** What every daemon of the proof is started with. */
export default defineConfig({
  pipelines: [first, second].filter(pipeline => pipeline !== undefined),
  clients: CLIENTS,
  warehouse: duckdb({ path: `${FOLDER}/warehouse.duckdb` }),
  ledger: ledger({ path: 'never' }),
  // A chunk may be struck by every blow there is, and nobody waits between its tries: those of a day would be used up in a second.
  settings: { accountConcurrency: 1, leaseSeconds: 5, retryBaseSeconds: 0, attempts: 20 },
})
