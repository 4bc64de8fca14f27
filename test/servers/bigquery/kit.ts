import { Readable } from 'node:stream'
import { BigQuery, type Job, type Query, type Table, type TableField, type TableMetadata } from '@google-cloud/bigquery'
import { PassThroughClient } from 'google-auth-library'
import type { Test } from 'tap'
import { type BigQueryServer, type Options, startBigQuery } from './server.ts'

/** A server and the real client on it, both gone after the test. */
export interface Host {
  readonly server: BigQueryServer
  readonly bq: BigQuery
}

/** Starts a server, and opens the client on it with its retries off. */
export async function host(t: Test, options: Options = {}): Promise<Host> {
  const server = await startBigQuery(options)
  t.teardown(() => server.close())
  return { server, bq: clientOf(server) }
}

/** A client of its own on a server. */
export function clientOf({ url, project, location }: BigQueryServer): BigQuery {
  return new BigQuery({ projectId: project, location, autoRetry: false, apiEndpoint: url, authClient: new PassThroughClient() })
}

/** The columns most tests use. */
export const FIELDS: TableField[] = [
  { name: 'client_id', type: 'STRING', mode: 'REQUIRED' },
  { name: 'date', type: 'DATE', mode: 'REQUIRED' },
  { name: 'n', type: 'INT64' },
  { name: 'cost', type: 'NUMERIC' },
]

/** A dataset `ads` with a table `daily`, partitioned by date. */
export async function adsTable({ bq }: Host, more: TableMetadata = {}): Promise<Table> {
  await bq.createDataset('ads')
  const [table] = await bq.dataset('ads').createTable('daily', {
    schema: { fields: FIELDS },
    timePartitioning: { type: 'DAY', field: 'date' },
    ...more,
  })
  return table
}

/** A row of `ads.daily`. */
export function row(client: string, date: string, n: number, cost = '0.5'): Record<string, unknown> {
  return { client_id: client, date, n, cost }
}

/** Loads rows, or text as it is, the way the client does it; the job may have failed. */
export async function load(table: Table, rows: readonly object[] | string | Buffer, more: object = {}): Promise<Job> {
  const media = typeof rows === 'string' || Buffer.isBuffer(rows) ? rows : rows.map(one => `${JSON.stringify(one)}\n`).join('')
  const upload = table.createWriteStream({ sourceFormat: 'NEWLINE_DELIMITED_JSON', ...more })
  const { promise, resolve, reject } = Promise.withResolvers<Job>()
  upload.on('job', resolve)
  upload.on('error', reject)
  Readable.from([media]).pipe(upload)
  const job = await promise
  await done(job)
  return job
}

/** Waits for a job, however it ends, without the pauses of the client; its metadata is fresh then. */
export async function done(job: Job): Promise<Job> {
  for (;;) {
    const [metadata] = await job.getMetadata()
    if (metadata.status.state === 'DONE') return job
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** What a finished job says went wrong. */
export function errorOf(job: Job): { reason?: string; message?: string } | undefined {
  return job.metadata.status.errorResult
}

/** Runs a query job to its end. */
export async function run({ bq }: Host, query: string, more: Partial<Query> = {}): Promise<Job> {
  const [job] = await bq.createQueryJob({ query, ...more })
  return await done(job)
}

/** Runs a query and returns its rows as the client reads them. */
export async function rowsOf(host: Host, query: string, more: Partial<Query> = {}): Promise<Record<string, unknown>[]> {
  const job = await run(host, query, more)
  const [rows] = await job.getQueryResults()
  return rows
}

/** The error a promise ends in. */
export async function failure(
  promise: Promise<unknown>,
): Promise<{ code?: unknown; message: string; errors?: { reason?: string }[] }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}
