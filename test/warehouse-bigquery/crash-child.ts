import { join } from 'node:path'
import { Registry } from 'prom-client'
import { backfill, bigquery, createLog, defineConfig, sqlite } from '../../lib/index.ts'
import { crashPipeline, crashWindow } from '../support/crash.ts'

// A process of its own that backfills into a BigQuery server; whoever runs that server decides when it dies.
// Arguments: folder, address of the server, project, location.

const [folder = '', apiEndpoint = '', project = '', location = ''] = process.argv.slice(2)
const { from, clients } = crashWindow
const pipeline = crashPipeline()
const ledger = sqlite({ path: join(folder, 'ledger.sqlite') })
const config = defineConfig({
  pipelines: [pipeline],
  clients,
  warehouse: bigquery({ project, location, apiEndpoint, spool: join(folder, 'spool'), retrySeconds: 0.01 }),
  ledger,
  settings: { concurrency: 2, groupChunks: 2, retryBaseSeconds: 0, retryCapSeconds: 0 },
})
const never = new AbortController().signal
const result = await backfill(
  config,
  { pipeline, window: { from, to: from }, clients },
  { log: createLog('silent'), registry: new Registry(), observe: () => {}, control: { stop: never, abort: never } },
)
await ledger.close()
process.exit(result.exitCode)
