import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { Test } from 'tap'
import { type Api, type Script, startApi } from './api.ts'
import { type Ran, type Running, run, type Start, start } from './cli.ts'

/** What differs from the usual configuration; each is TypeScript. */
export interface Parts {
  /** Default `['acme', 'globex']`. */
  readonly clients?: string
  /** Added to the pipeline, and may override any of it. */
  readonly pipeline?: string
  /** Default: no patience at all. */
  readonly settings?: string
  /** Where the database lies. Default in the folder of the project. */
  readonly warehouse?: string
  readonly ledger?: string
  /** Statements before the default export. */
  readonly before?: string
  /** Added to the options of the connector. */
  readonly source?: string
  /** Default `[ads]`. */
  readonly pipelines?: string
}

/** A folder with a configuration, and the API it reads. */
export interface Project {
  readonly folder: string
  readonly api: Api
  readonly config: string
  /** Runs `headrace` with this configuration to its end. */
  headrace(...args: readonly string[]): Promise<Ran>
  /** Runs `headrace backfill` over the first days of May 2025. */
  backfill(...args: readonly string[]): Promise<Ran>
  start(args: readonly string[], options?: Start): Running
  /** Writes the configuration anew. */
  configure(parts: Parts): Promise<void>
  /** Asks the warehouse. */
  query(sql: string): Promise<Record<string, unknown>[]>
}

/** The window of `backfill`. */
export const MAY = ['--from', '2025-05-01', '--to', '2025-05-03'] as const

const lib = (path: string): string => new URL(`../../${path}`, import.meta.url).href

/** A configuration as somebody would write it, but for the imports. */
function configText(folder: string, api: string, parts: Parts): string {
  const at = (path: string): string => JSON.stringify(join(folder, path))
  return `
import { pageToken, rest } from '${lib('connectors/index.ts')}'
import { defineConfig, defineConnector, definePipeline, duckdb, sqlite } from '${lib('lib/index.ts')}'
import { client, custom, day, decimal, integer, optional, text } from '${lib('lib/mapping.ts')}'
import { date, defineTable, int64, nullable, numeric, string } from '${lib('lib/table.ts')}'

export const source = rest<any>({
  name: 'ads-api',
  url: '${api}/records',
  query: { client: '{client}', from: '{from}', to: '{to}' },
  records: 'data',
  pages: pageToken({ param: 'page', next: 'next' }),
  ${parts.source ?? ''}
})
const columns = {
  client_id: string(),
  date: date(),
  campaign: string({ maxLength: 20 }),
  clicks: int64({ minimum: 0 }),
  cost: numeric({ minimum: 0 }),
}
const map = {
  client_id: client('account'),
  date: day('day'),
  campaign: text('campaign'),
  clicks: integer('clicks'),
  cost: decimal('cost'),
}
const options = {
  name: 'ads',
  source,
  table: defineTable('shop.ads', columns, { partitionBy: 'date', key: ['client_id', 'date', 'campaign'] }),
  map,
  checks: { rejects: { atMost: 1 } },
  totals: ['clicks', 'cost'],
  ${parts.pipeline ?? ''}
} as any
const ads = definePipeline(options)
${parts.before ?? ''}
export default defineConfig({
  pipelines: ${parts.pipelines ?? '[ads]'},
  clients: ${parts.clients ?? "['acme', 'globex']"},
  warehouse: duckdb({ path: ${parts.warehouse ?? at('warehouse.duckdb')} }),
  ledger: sqlite({ path: ${parts.ledger ?? at('ledger.sqlite')} }),
  settings: { attempts: 1, requestAttempts: 1, retryBaseSeconds: 0, ${parts.settings ?? ''} },
})
`
}

/** Makes a project in a fresh folder, gone with the test. */
export async function project(t: Test, parts: Parts = {}, script?: Script): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-test-'))
  const api = await startApi(script)
  t.teardown(async () => {
    await api.close()
    await rm(folder, { recursive: true, force: true })
  })
  const config = join(folder, 'headrace.config.ts')
  const configure = (changed: Parts): Promise<void> => writeFile(config, configText(folder, api.url, changed))
  await configure(parts)
  const withConfig = (args: readonly string[]): string[] => [args[0] ?? '', '--config', config, ...args.slice(1)]
  return {
    folder,
    api,
    config,
    configure,
    headrace: (...args) => run(withConfig(args), { cwd: folder }),
    backfill: (...args) => run(withConfig(['backfill', ...MAY, ...args]), { cwd: folder }),
    start: (args, options) => {
      const running = start(withConfig(args), { cwd: folder, ...options })
      t.teardown(() => void running.process.kill('SIGKILL'))
      return running
    },
    async query(sql) {
      const instance = await DuckDBInstance.create(join(folder, 'warehouse.duckdb'), { access_mode: 'READ_ONLY' })
      const connection = await instance.connect()
      try {
        return (await connection.runAndReadAll(sql)).getRowObjectsJson()
      } finally {
        connection.closeSync()
        instance.closeSync()
      }
    },
  }
}
