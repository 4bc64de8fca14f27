import { type ChildProcess, fork, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs, styleText } from 'node:util'
import { DuckDBInstance } from '@duckdb/node-api'
import { compare } from './compare.ts'

/**
 * The demo: a month of a dozen airports into a DuckDB file, the same again, a revised day, and a question to the table. With --verify, every row of
 * every table is compared with the parquet file the API serves; the exit code says whether they are equal.
 */

const { values: args } = parseArgs({ options: { verify: { type: 'boolean', default: false } } })

const AIRPORTS = ['ORD', 'DFW', 'ATL', 'LAX', 'PHX', 'STL', 'DTW', 'MSP', 'LAS', 'DEN', 'BOS', 'IAH']
const MONTH = { from: '2001-01-01', to: '2001-01-31' }
const REVISED = '2001-01-31'
const FOLDER = fileURLToPath(new URL('../../demo-data', import.meta.url))
const WAREHOUSE = `${FOLDER}/warehouse.duckdb`

function say(text: string): void {
  console.log(`\n${styleText('bold', text)}`)
}

async function startApi(): Promise<{ readonly url: string; readonly process: ChildProcess }> {
  const api = fork(fileURLToPath(new URL('server.ts', import.meta.url)), ['--faults', '0.15'])
  const port = await new Promise<number>((resolve, reject) => {
    api.once('message', message => resolve((message as { port: number }).port))
    api.once('exit', code => reject(new Error(`the demo API ended with ${code}`)))
  })
  return { url: `http://127.0.0.1:${port}`, process: api }
}

async function headrace(api: string, ...words: string[]): Promise<void> {
  console.log(styleText('dim', `$ headrace ${words.join(' ')}`))
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../bin/headrace.ts', import.meta.url)), ...words], {
    stdio: 'inherit',
    env: { ...process.env, DEMO_API: api, DEMO_FOLDER: FOLDER, HEADRACE_CONFIG: CONFIG },
  })
  const code = await new Promise<number | null>(resolve => child.once('exit', resolve))
  if (code !== 0) throw new Error(`headrace ended with ${code}`)
}

const CONFIG = fileURLToPath(new URL('headrace.config.ts', import.meta.url))

async function verified(stage: string, revisedDays: readonly string[]): Promise<boolean> {
  if (!args.verify) return true
  say(`Compared with the parquet file, row for row, ${stage}`)
  const differences = await compare({ warehouse: WAREHOUSE, clients: AIRPORTS, ...MONTH, revisedDays })
  for (const { table, rows, missing, extra } of differences) {
    console.log(`${table}: ${rows.toLocaleString('en')} rows, ${missing} missing, ${extra} too many`)
  }
  return differences.length === 2 && differences.every(({ rows, missing, extra }) => rows > 0 && missing === 0 && extra === 0)
}

async function ask(question: string, sql: string): Promise<void> {
  say(question)
  const instance = await DuckDBInstance.create(WAREHOUSE, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  console.table((await connection.runAndReadAll(sql)).getRowObjectsJson())
  connection.closeSync()
  instance.closeSync()
}

const started = performance.now()
rmSync(FOLDER, { recursive: true, force: true })
say(
  'An API with 3,000,000 real flights starts, in a process of its own; it throttles, breaks and forgets page tokens now and then',
)
const api = await startApi()
console.log(api.url)
const month = ['--from', MONTH.from, '--to', MONTH.to, '--clients', AIRPORTS.join(',')]
let equal = true
try {
  say('January 2001 of a dozen airports')
  await headrace(api.url, 'backfill', '--pipeline', 'flights', ...month)
  await headrace(api.url, 'backfill', '--pipeline', 'routes', ...month)

  say('The same again: everything is read, nothing is written')
  await headrace(api.url, 'backfill', '--pipeline', 'flights', ...month)
  await headrace(api.url, 'backfill', '--pipeline', 'routes', ...month)
  equal = (await verified('after two runs', [])) && equal

  say(`The airlines revise ${REVISED}; the last week is read again`)
  await fetch(`${api.url}/v1/revise?day=${REVISED}`, { method: 'POST', headers: { authorization: 'Bearer demo-key' } })
  const week = ['--from', '2001-01-25', '--to', '2001-01-31', '--clients', AIRPORTS.join(',')]
  await headrace(api.url, 'backfill', '--pipeline', 'routes', ...week)
  await headrace(api.url, 'backfill', '--pipeline', 'flights', ...week)
  equal = (await verified('after the revision', [REVISED])) && equal

  say('Is the data there, and is it right?')
  await headrace(api.url, 'verify')
  await ask(
    'Which routes out of these airports were least punctual in January 2001?',
    `SELECT client_id AS "from", destination AS "to", sum(flights)::INTEGER AS flights,
            round(sum(delay_minutes) / sum(flights), 1)::VARCHAR AS "mean delay (min)",
            round(100 * sum(on_time_share * flights) / sum(flights), 1)::VARCHAR || ' %' AS "on time"
     FROM air.routes GROUP BY ALL HAVING sum(flights) >= 100
     ORDER BY sum(on_time_share * flights) / sum(flights) LIMIT 8`,
  )
  console.log(`\nThe tables are in ${WAREHOUSE}; took ${((performance.now() - started) / 1_000).toFixed(1)} s.`)
} finally {
  api.process.kill()
}
if (!equal) {
  console.error('The tables differ from the parquet file.')
  process.exitCode = 1
}
