import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { keepMemoryFlat } from '../bin/memory.ts'
import { backfill, bigquery, createLog, defineConfig, defineConnector, definePipeline, sqlite } from '../lib/index.ts'
import { client, day, decimal, integer, text } from '../lib/mapping.ts'
import { date, defineTable, int64, numeric, string } from '../lib/table.ts'

/** One backfill into BigQuery, in this process. The argument is what it does, as JSON; prints what it took. */
interface Work {
  readonly server: { readonly url: string; readonly project: string; readonly location: string }
  readonly clients: number
  readonly days: number
  readonly rowsPerDay: number
  readonly settings: Readonly<Record<string, number>>
}

interface Visit {
  readonly account: string
  readonly day: string
  readonly page: string
  readonly visits: number
  readonly cost: string
}

const PAGE = 1_000
const NEVER = new AbortController().signal

keepMemoryFlat()
const { server, clients: many, days, rowsPerDay, settings }: Work = JSON.parse(process.argv[2] ?? '')

const pipeline = definePipeline({
  name: 'visits',
  source: defineConnector<Visit>({
    name: 'made-up',
    async *pages({ client: account, window }) {
      for (let at = Date.parse(window.from); at <= Date.parse(window.to); at += 86_400_000) {
        const today = new Date(at).toISOString().slice(0, 10)
        for (let from = 0; from < rowsPerDay; from += PAGE) {
          yield Array.from({ length: Math.min(PAGE, rowsPerDay - from) }, (_, index) => ({
            account,
            day: today,
            page: `/catalogue/things/${from + index}/with/a/name/of/some/length`,
            visits: (from + index) % 1_000,
            cost: `${(from + index) % 97}.25`,
          }))
        }
      }
    },
  }),
  table: defineTable(
    'bench.visits',
    { client_id: string(), date: date(), page: string(), visits: int64(), cost: numeric() },
    { partitionBy: 'date', key: ['client_id', 'date', 'page'] },
  ),
  map: { client_id: client('account'), date: day('day'), page: text('page'), visits: integer('visits'), cost: decimal('cost') },
  chunk: { days },
  totals: ['visits', 'cost'],
})

const folder = mkdtempSync(join(tmpdir(), 'headrace-bench-'))
const clients = Array.from({ length: many }, (_, index) => `client ${String(index).padStart(4, '0')}`)
const ledger = sqlite({ path: join(folder, 'ledger.sqlite') })
const { url: apiEndpoint, project, location } = server
const warehouse = bigquery({ apiEndpoint, project, location, spool: join(folder, 'spool') })
const config = defineConfig({ pipelines: [pipeline], clients, warehouse, ledger, settings })
const window = { from: '2026-01-01', to: `2026-01-${String(days).padStart(2, '0')}` }
try {
  const started = performance.now()
  const { exitCode, totals } = await backfill(
    config,
    { pipeline, window, clients },
    { log: createLog('silent'), registry: new Registry(), observe: () => {}, control: { stop: NEVER, abort: NEVER } },
  )
  const seconds = (performance.now() - started) / 1_000
  const { chunks = 0, inserted: rows = 0 } = totals.states.published ?? {}
  if (exitCode !== 0 || chunks !== many) throw new Error(`it ended with ${exitCode}: ${JSON.stringify(totals)}`)
  console.log(JSON.stringify({ chunks, rows, seconds, peakMB: process.resourceUsage().maxRSS / 1_000 }))
} finally {
  await ledger.close()
  rmSync(folder, { recursive: true, force: true })
}
