import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { Registry } from 'prom-client'
import { Agent, request } from 'undici'
import { backfill, type Config, createLog, defineConfig, duckdb, type Pipeline, sqlite } from '../lib/index.ts'
import { benchDay, NARROW, type Shape, WIDE } from './shapes.ts'

/**
 * How fast headrace is beside what is possible, all on the same pages in one run, interleaved, medians. Prints ratios; absolute numbers are of
 * this machine and this hour.
 *
 *   bare        fetch every page and JSON.parse it, the next one already on its way
 *   hand-fused  bare, plus one hand-written function that writes CSV, plus DuckDB: delete, insert, commit per day. No validation, no accounting
 *   tuned       the same with the storage settings that headrace has found to be the fastest
 *   headrace    the product end to end, with its default settings, and with one chunk at a time
 */

const CLIENTS = 4
const DAYS = 5
const PAGES = 20
const ROWS = 1_000
const ROUNDS = Number(process.env.ROUNDS ?? 5)
const TOTAL = CLIENTS * DAYS * PAGES * ROWS

const dispatcher = new Agent({ connections: 8, pipelining: 1 })

/** Every page of a client and day, parsed, the next one already on its way. */
async function* bare<R>(base: string, client: string, day: string): AsyncGenerator<R[]> {
  type Body = { results: R[]; nextPageToken?: string }
  const fetchPage = async (token: string): Promise<Body> => {
    const { body } = await request(`${base}/${client}/${day}${token === '' ? '' : `?pageToken=${token}`}`, { dispatcher })
    return JSON.parse(await body.text())
  }
  let next: Promise<Body> | undefined = fetchPage('')
  while (next !== undefined) {
    const page: Body = await next
    next = page.nextPageToken === undefined ? undefined : fetchPage(page.nextPageToken)
    yield page.results
  }
}

function* slices(): Generator<{ client: string; day: string }> {
  for (let client = 0; client < CLIENTS; client++)
    for (let day = 0; day < DAYS; day++) yield { client: `c${client}`, day: benchDay(day) }
}

async function runBare<R>(base: string): Promise<number> {
  let rows = 0
  for (const { client, day } of slices()) for await (const page of bare<R>(base, client, day)) rows += page.length
  return rows
}

/** How headrace attaches the file. */
const TUNED = " (ROW_GROUP_SIZE 30720, STORAGE_VERSION 'v1.3.0')"

/** Rows per transaction of the hand-fused loop: where DuckDB is at its best. */
const FUSED_COMMIT = 100_000

async function runFused<R>(
  base: string,
  { line, ddl, columns, select }: Shape<R>,
  folder: string,
  storage: string,
): Promise<number> {
  const instance = await DuckDBInstance.create(':memory:', {
    threads: '2',
    memory_limit: '256MB',
    preserve_insertion_order: 'false',
  })
  const connection = await instance.connect()
  await connection.run(`ATTACH '${join(folder, 'fused.duckdb')}' AS db${storage}`)
  await connection.run('USE db')
  await connection.run(`CREATE TABLE t (${ddl})`)
  let rows = 0
  let staged: { path: string; client: string; day: string }[] = []
  const commit = async (): Promise<void> => {
    await connection.run('BEGIN')
    for (const { client, day } of staged)
      await connection.run(`DELETE FROM t WHERE client_id = '${client}' AND date = DATE '${day}'`)
    await connection.run(
      `INSERT INTO t SELECT ${select} FROM read_csv([${staged.map(({ path }) => `'${path}'`).join(', ')}], columns = ${columns}, ` +
        `header = false, auto_detect = false, delim = ',', quote = '"', escape = '"', buffer_size = 2000000)`,
    )
    await connection.run('COMMIT')
    staged = []
  }
  for (const { client, day } of slices()) {
    const path = join(folder, `${client}-${day}.csv`)
    const file = await open(path, 'w')
    for await (const page of bare<R>(base, client, day)) {
      let out = ''
      for (const record of page) out += line(record)
      await file.appendFile(out)
      rows += page.length
    }
    await file.close()
    staged.push({ path, client, day })
    if (rows % FUSED_COMMIT === 0) await commit()
  }
  connection.closeSync()
  instance.closeSync()
  return rows
}

async function runHeadrace(
  base: string,
  shape: Pick<Shape<never>, 'pipeline'>,
  folder: string,
  concurrency: number,
): Promise<number> {
  const clients = Array.from({ length: CLIENTS }, (_, index) => `c${index}`)
  const config: Config = defineConfig({
    pipelines: [shape.pipeline(base)],
    clients,
    warehouse: duckdb({ path: join(folder, 'headrace.duckdb') }),
    ledger: sqlite({ path: join(folder, 'ledger.sqlite') }),
    settings: { concurrency },
  })
  const signal = new AbortController().signal
  const { totals, exitCode } = await backfill(
    config,
    {
      pipeline: config.pipelines[0] as Pipeline,
      window: { from: benchDay(0), to: benchDay(DAYS - 1) },
      clients,
    },
    { log: createLog('silent'), registry: new Registry(), observe: () => {}, control: { stop: signal, abort: signal } },
  )
  await config.ledger.close()
  if (exitCode !== 0) throw new Error(`headrace ended with ${exitCode}`)
  return totals.states.published?.inserted ?? 0
}

async function measure(name: string, shape: Shape<never>): Promise<void> {
  const server = fork(new URL('./pages.ts', import.meta.url), [name, CLIENTS, DAYS, PAGES, ROWS].map(String))
  const { port } = await new Promise<{ port: number }>(resolve =>
    server.once('message', message => resolve(message as { port: number })),
  )
  const base = `http://127.0.0.1:${port}`
  const contenders: Contenders = {
    bare: () => runBare(base),
    'hand-fused': folder => runFused(base, shape, folder, ''),
    'hand-fused, tuned': folder => runFused(base, shape, folder, TUNED),
    headrace: folder => runHeadrace(base, shape, folder, 4),
    'headrace, one chunk at a time': folder => runHeadrace(base, shape, folder, 1),
  }
  const seconds = new Map<string, number[]>(Object.keys(contenders).map(contender => [contender, []]))
  try {
    await rounds(contenders, seconds)
  } finally {
    server.kill()
  }
  report(name, seconds)
}

type Contenders = Readonly<Record<string, (folder: string) => Promise<number>>>

async function rounds(contenders: Contenders, seconds: ReadonlyMap<string, number[]>): Promise<void> {
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [contender, run] of Object.entries(contenders)) {
      const folder = mkdtempSync(join(tmpdir(), 'headrace-bench-'))
      const started = performance.now()
      const rows = await run(folder)
      const took = (performance.now() - started) / 1_000
      rmSync(folder, { recursive: true })
      if (rows !== TOTAL) throw new Error(`${contender}: ${rows} rows instead of ${TOTAL}`)
      if (round > 0) seconds.get(contender)?.push(took) // the first round warms up
    }
  }
}

function report(name: string, seconds: ReadonlyMap<string, number[]>): void {
  const median = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN
  const bareMedian = median(seconds.get('bare') ?? [])
  const fusedMedian = median(seconds.get('hand-fused') ?? [])
  console.log(`\n${name} records, ${TOTAL.toLocaleString('en')} rows in pages of ${ROWS}, ${ROUNDS} rounds`)
  console.table(
    Object.fromEntries(
      [...seconds].map(([contender, times]) => [
        contender,
        {
          'rows/s (median)': Math.round(TOTAL / median(times)),
          best: Math.round(TOTAL / Math.min(...times)),
          'of bare': (bareMedian / median(times)).toFixed(2),
          'of hand-fused': (fusedMedian / median(times)).toFixed(2),
        },
      ]),
    ),
  )
}

console.log(`Node ${process.version}, ${availableParallelism()} cores`)
await measure('wide', WIDE as Shape<never>)
await measure('narrow', NARROW as Shape<never>)
await dispatcher.close()
