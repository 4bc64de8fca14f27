import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { DuckDBInstance } from '@duckdb/node-api'
import { Registry } from 'prom-client'
import t from 'tap'
import { backfill } from '../lib/backfill.ts'
import { addDays, daysOf } from '../lib/chunk.ts'
import { type Connector, createLog, defineConfig, defineConnector, definePipeline, duckdb } from '../lib/index.ts'
import { client, day, integer, text } from '../lib/mapping.ts'
import { watch } from '../lib/monitor/watch.ts'
import { date, defineTable, int64, string } from '../lib/table.ts'
import type { Warehouse } from '../lib/warehouse/warehouse.ts'
import { openLedger, run } from './support/run.ts'

/**
 * Two weeks of green runs with zero rows: the mapping said `keyword`, the column was called `keyword_text`, every row was dropped on the way, and every run ended
 * well. Told again, it ends six times, each time before the data of a reader is wrong, or within a day.
 */

interface Keyword {
  account: string
  date: string
  keyword: string
  clicks: number
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DAYS = { from: '2026-03-01', to: '2026-03-14' }

const table = defineTable(
  'ads.keywords',
  { client_id: string(), date: date(), keyword_text: string(), clicks: int64() },
  { partitionBy: 'date' },
)
const map = { client_id: client('account'), date: day('date'), keyword_text: text('keyword'), clicks: integer('clicks') } as const

/** An API that gives a keyword for each day, as told. */
function api(page: (account: string, date: string) => unknown[]): Connector<Keyword> {
  return defineConnector<Keyword>({
    name: 'ads',
    async *pages({ client: account, window }) {
      for (const date of daysOf(window)) yield page(account, date) as Keyword[]
    },
  })
}

const good = (account: string, date: string): Keyword[] =>
  ['shoes', 'boots'].map(keyword => ({ account, date, keyword, clicks: 1 }))

function pipelineOf(source: Connector<Keyword>, more: { readonly freshness?: { readonly hours: number } } = {}) {
  return definePipeline({ name: 'keywords', source, table, map, totals: ['clicks'], ...more })
}

t.test('first: the mapping that names a column the table does not have does not compile', async t => {
  const code = `
    import { defineConnector, definePipeline } from '${join(ROOT, 'lib/index.ts')}'
    import { client, day, text } from '${join(ROOT, 'lib/mapping.ts')}'
    import { date, defineTable, string } from '${join(ROOT, 'lib/table.ts')}'
    definePipeline({
      name: 'keywords',
      source: defineConnector<{ account: string; date: string; keyword: string }>({ name: 'ads', async *pages() {} }),
      table: defineTable('ads.keywords', { client_id: string(), date: date(), keyword_text: string() }, { partitionBy: 'date' }),
      map: { client_id: client('account'), date: day('date'), keyword: text('keyword') },
    })`
  const settings = { extends: join(ROOT, 'tsconfig.json'), include: ['*.ts'] }
  const folder = t.testdir({ 'story.ts': code, 'tsconfig.json': JSON.stringify(settings) })
  const compiler = [join(ROOT, 'node_modules/typescript/lib/tsc.js'), '-p', folder]
  const said = await promisify(execFile)(process.execPath, compiler, { env: { ...process.env, NODE_OPTIONS: '' } }).then(
    () => 'it compiles',
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  )
  t.match(said, /story\.ts\(9,.*'?keyword'?.*does not exist/s)
})

t.test('second: where nothing is compiled, it does not start; and neither does it when the table is another one', async t => {
  const { keyword_text, ...others } = map
  const wrong: Record<string, unknown> = { ...others, keyword: keyword_text }
  t.throws(() => Reflect.apply(definePipeline, undefined, [{ name: 'keywords', source: api(good), table, map: wrong }]), {
    code: 'PIPELINE_INVALID',
    message: /no expression for column keyword_text; keyword is not a column of ads\.keywords/,
  })
  const folder = t.testdir()
  const database = await (await DuckDBInstance.create(join(folder, 'warehouse.duckdb'))).connect()
  await database.run('CREATE SCHEMA ads')
  await database.run(
    'CREATE TABLE ads.keywords (client_id VARCHAR NOT NULL, date DATE NOT NULL, keyword VARCHAR NOT NULL, clicks BIGINT NOT NULL)',
  )
  database.closeSync()
  await t.rejects(run({ folder, pipeline: pipelineOf(api(good)), ...DAYS, clients: ['a'] }), {
    code: 'TABLE_MISMATCH',
    message: /keyword_text/,
  })
})

t.test('third: a field that the records do not have makes rejects, not nothing; and so many hold the chunk', async t => {
  const renamed = api((account, date) => good(account, date).map(({ keyword, ...rest }) => ({ ...rest, keywordText: keyword })))
  const { exitCode, totals } = await run({ folder: t.testdir(), pipeline: pipelineOf(renamed), ...DAYS, clients: ['a'] })
  t.equal(exitCode, 42)
  t.match(totals.states, { held: { chunks: 14, extracted: 28, rejected: 28, staged: 0 } })
})

t.test('fourth: records that get lost on the way to staging do not balance', async t => {
  const leaky = api((account, date) => {
    const page: unknown[] = good(account, date)
    // The connector takes records back while they are read.
    page[0] = {
      ...good(account, date)[0],
      get keyword() {
        page.length = 1
        return 'shoes'
      },
    }
    return page
  })
  const folder = t.testdir()
  const { exitCode } = await run({ folder, pipeline: pipelineOf(leaky), ...DAYS, clients: ['a'] })
  t.equal(exitCode, 42)
  const ledger = openLedger(folder)
  const [first] = await ledger.problems('keywords', undefined, 1)
  await ledger.close()
  t.match(first, { state: 'held', problem: { code: 'CHUNK_UNBALANCED', message: /2 extracted, but 1 staged/ } })
})

t.test('fifth: rows that get lost on the way to the table do not commit', async t => {
  const folder = t.testdir()
  const real = duckdb({ path: join(folder, 'warehouse.duckdb') })
  const lossy: Warehouse = {
    ...real,
    stage: async (...args) => {
      const staging = await real.stage(...args)
      return { ...staging, write: async () => undefined }
    },
  }
  const pipeline = pipelineOf(api(good))
  const ledger = openLedger(folder)
  const config = defineConfig({
    pipelines: [pipeline],
    clients: ['a'],
    warehouse: lossy,
    ledger,
    settings: { retryBaseSeconds: 0, retryCapSeconds: 0 },
  })
  const never = new AbortController().signal
  const host = { log: createLog('silent'), registry: new Registry(), observe: () => {}, control: { stop: never, abort: never } }
  const { exitCode } = await backfill(config, { pipeline, window: DAYS, clients: ['a'], force: false, missing: false }, host)
  t.equal(exitCode, 42)
  t.match(await ledger.problems('keywords', undefined, 1), [{ state: 'held', problem: { code: 'COUNT_DIVERGED' } }])
  t.strictSame(await ledger.allDays('keywords', 'a'), [], 'nothing counts as published')
  await ledger.close()
})

t.test('sixth: an API that answers with nothing is not believed for two weeks: the monitors tell of it', async t => {
  const folder = t.testdir()
  const pipeline = pipelineOf(api(() => []))
  const { exitCode } = await run({ folder, pipeline, ...DAYS, clients: ['a', 'b'] })
  t.equal(exitCode, 42, 'a backfill that brings nothing at all says so itself; a daemon has no exit code')
  const ledger = openLedger(folder)
  const clients = ['a', 'b'].map(id => ({ id, timeZone: 'UTC' }))
  const on = (day: string) =>
    watch({ config: { pipelines: [pipeline], ledger }, clients, grantKey: undefined, now: Date.parse(`${day}T08:00:00Z`) })
  const { findings } = await on(addDays(DAYS.to, 1))
  await ledger.close()
  t.match(findings, [
    { monitor: 'empty', level: 'page', what: 'no client ever had a row, in 28 published days of 2 clients (a, b)' },
  ])
})
