import { defineConfig, defineConnector, definePipeline, duckdb, sqlite } from 'headrace'
import { client, day, integer, text } from 'headrace/mapping'
import { date, defineTable, int64, string } from 'headrace/table'

// What a user has: a folder with the installed package and this file. `.ci/run` runs it.

interface Visit {
  readonly site: string
  readonly date: string
  readonly page: string
  readonly visits: number
}

const visits = definePipeline({
  name: 'visits',
  source: defineConnector<Visit>({
    name: 'visits',
    async *pages({ client: site, window }) {
      yield [
        { site, date: window.from, page: '/', visits: 3 },
        { site, date: window.to, page: '/about', visits: 1 },
      ]
    },
  }),
  table: defineTable(
    'web.visits',
    { client_id: string(), date: date(), page: string(), visits: int64({ minimum: 0 }) },
    { partitionBy: 'date', key: ['client_id', 'date', 'page'] },
  ),
  map: { client_id: client('site'), date: day('date'), page: text('page'), visits: integer('visits') },
  chunk: { days: 7 },
  totals: ['visits'],
})

export default defineConfig({
  pipelines: [visits],
  clients: ['a', 'b'],
  warehouse: duckdb({ path: 'data/warehouse.duckdb' }),
  ledger: sqlite({ path: 'data/ledger.sqlite' }),
})
