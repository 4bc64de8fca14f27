import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Catalogue } from './catalogue.ts'
import { Claims } from './claims.ts'
import { Clock } from './clock.ts'
import type { Context, StatementEvent, Switches } from './context.ts'
import { Duck, type DuckRow } from './duck.ts'
import { type Exchange, exchange, type OnRequest } from './exchange.ts'
import { Faults, type RequestInfo } from './faults.ts'
import { Handlers } from './handlers.ts'
import { type Job, Jobs, type Latency } from './jobs.ts'

/** How the server is started. */
export interface Options {
  readonly project?: string
  readonly location?: string
  /** Milliseconds every job takes on top of its work, by kind. */
  readonly latency?: Latency
  readonly switches?: Partial<Switches>
  /** DuckDB's `memory_limit`. */
  readonly memoryLimit?: string
  /**
   * Told of every request twice: when it has arrived and nothing was done, and when everything was done and nothing answered. Says `drop` to
   * destroy the connection at that moment.
   */
  readonly onRequest?: OnRequest
  /** Told before every statement of a query job; the statement waits for it. */
  readonly onStatement?: (event: StatementEvent) => void | Promise<void>
}

/** A BigQuery of one project, on the loopback interface. */
export interface BigQueryServer {
  /** The `apiEndpoint` for the client. */
  readonly url: string
  readonly project: string
  readonly location: string
  readonly faults: Faults
  readonly clock: Clock
  /** Every request, in the order of arrival. */
  readonly log: readonly RequestInfo[]
  /** Every job but the children of scripts, in the order of creation. */
  readonly jobs: readonly Job[]
  /** Milliseconds every job takes from now on. */
  setLatency(latency: Latency): void
  /** Looks straight into DuckDB, whose SQL it is; streamed rows are in the schema `_buffer`. */
  query(sql: string): Promise<DuckRow[]>
  /** Forgets every resumable upload. */
  expireUploads(): void
  close(): Promise<void>
}

const SWITCHES: Switches = {
  dmlPer10Seconds: Number.POSITIVE_INFINITY,
  loadsPerDay: Number.POSITIVE_INFINITY,
  dedupe: true,
  freshTableLosesRowsMs: 0,
  emptyMutationClaims: false,
  pageRows: 100_000,
  refuses: () => undefined,
  longPollMs: 10_000,
}

/** Starts a server on a free port of the loopback interface. */
export async function startBigQuery(options: Options = {}): Promise<BigQueryServer> {
  const { project = 'headrace-test', location = 'US', latency = {}, memoryLimit = '1GB' } = options
  const folder = mkdtempSync(join(tmpdir(), 'headrace-bigquery-'))
  const clock = new Clock()
  const faults = new Faults()
  const duck = await Duck.open(memoryLimit, join(folder, 'duckdb'))
  const jobs = new Jobs(project, location, clock, faults)
  jobs.latency = latency
  const context: Context = {
    project,
    location,
    duck,
    catalogue: new Catalogue(project, location, duck, clock),
    claims: new Claims(clock),
    clock,
    faults,
    jobs,
    switches: { ...SWITCHES, ...options.switches },
    folder,
    onStatement: options.onStatement,
  }
  const log: RequestInfo[] = []
  const sockets = new Set<Socket>()
  let url = ''
  const handlers = new Handlers(context, () => url)
  const parts: Exchange = { context, handlers, log, onRequest: options.onRequest }
  const server = createServer((request, response) => void exchange(parts, request, response))
  server.keepAliveTimeout = 60_000
  server.requestTimeout = 0
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    project,
    location,
    faults,
    clock,
    log,
    get jobs() {
      return jobs.all
    },
    setLatency: next => {
      jobs.latency = next
    },
    query: sql => duck.use(session => session.query(sql)),
    expireUploads: () => handlers.expireUploads(),
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
      clock.close()
      await jobs.close()
      duck.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
