import { setTimeout as delay } from 'node:timers/promises'
import { defineConfig, defineConnector, definePipeline, duckdb, sqlite } from '../../../lib/index.ts'
import { client, day, integer } from '../../../lib/mapping.ts'
import { date, defineTable, int64, string } from '../../../lib/table.ts'

const { FOLDER = '', STUCK_AT = '' } = process.env

interface Visit {
  readonly site: string
  readonly date: string
  readonly visits: number
}

/** What the backfills of the proof are started with; with `STUCK_AT` they never get beyond that client. */
export default defineConfig({
  pipelines: [
    definePipeline({
      name: 'visits',
      source: defineConnector<Visit>({
        name: 'visits',
        async *pages({ client: site, window }) {
          if (site === STUCK_AT) await delay(3_600_000)
          yield [{ site, date: window.from, visits: 1 }]
        },
      }),
      table: defineTable(
        'web.visits',
        { client_id: string(), date: date(), visits: int64() },
        { partitionBy: 'date', key: ['client_id', 'date'] },
      ),
      map: { client_id: client('site'), date: day('date'), visits: integer('visits') },
    }),
  ],
  clients: ['a', 'b', 'c'],
  warehouse: duckdb({ path: `${FOLDER}/warehouse.duckdb` }),
  ledger: sqlite({ path: `${FOLDER}/ledger.sqlite` }),
})
