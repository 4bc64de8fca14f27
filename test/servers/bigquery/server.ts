import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Answer, drip, failed, send, sendHalf, sendPage } from './answers.ts'
import { Catalogue } from './catalogue.ts'
import { Claims } from './claims.ts'
import { Clock } from './clock.ts'
import type { Context, StatementEvent, Switches } from './context.ts'
import { Duck, type DuckRow } from './duck.ts'
import { ApiError, asApiError, envelope } from './errors.ts'
import { Faults, injected, type RequestEffect, type RequestInfo } from './faults.ts'
import { Handlers } from './handlers.ts'
import { subjectOf } from './job-routes.ts'
import { type Job, Jobs, type Latency } from './jobs.ts'
import { type Json, list, object, text } from './json.ts'
import { routeOf } from './routes.ts'
import { CutUpload, openMultipart, type Upload } from './uploads.ts'

/** What a hook wants done with a request: nothing, or that its connection is destroyed on the spot. */
export type Verdict = 'drop' | undefined

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
  readonly onRequest?: (info: RequestInfo, moment: 'arrived' | 'done') => Verdict | Promise<Verdict> | void | Promise<void>
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
  const server = createServer((request, response) => void exchange(context, handlers, log, options.onRequest, request, response))
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

/** One request, from its arrival to its answer, or to what a fault makes of it. */
async function exchange(
  context: Context,
  handlers: Handlers,
  log: RequestInfo[],
  onRequest: Options['onRequest'],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const drop = (): void => void request.socket.destroy()
  try {
    const route = routeOf(request.method ?? '', request.url ?? '/', context.project)
    const upload = route.kind === 'upload.multipart' ? await openMultipart(context, request) : undefined
    const body = upload?.body ?? (route.kind === 'upload.put' ? handlers.resumableBody(route) : await readJson(request))
    const subject = subjectOf(body)
    const info: RequestInfo = {
      index: log.length,
      kind: route.kind,
      method: request.method ?? '',
      path: request.url ?? '/',
      ...subject,
      jobId: subject.jobId ?? (route.jobId || undefined),
      table: subject.table ?? (route.table === '' ? undefined : `${route.dataset}.${route.table}`),
      sql: subject.sql ?? text(body.query),
      rows: list(body.rows).length,
      body,
      status: 0,
    }
    log.push(info)
    if ((await onRequest?.(info, 'arrived')) === 'drop') return drop()
    const effect = context.faults.request(info)
    if (effect?.kind === 'delay') await context.clock.wait(effect.ms)
    if (effect?.kind === 'proxy') return sendPage(response, mark(info, effect.status))
    const ending = isEnding(effect) ? effect : undefined
    if (ending !== undefined && ending.after !== true) return end(ending, info, response)
    const answer = await answerOf(handlers, { route, body, upload, request, effect })
    if ((await onRequest?.(info, 'done')) === 'drop') return drop()
    if (ending !== undefined) return end(ending, info, response)
    mark(info, answer.status)
    if (effect?.kind === 'truncate') return sendHalf(response, answer)
    if (effect?.kind === 'drip') return drip(response, answer)
    send(response, answer)
  } catch (thrown) {
    // A client that left in the middle of its request gets no answer, and neither does one that is cut off.
    if (thrown instanceof CutUpload || request.socket.destroyed || response.headersSent) return drop()
    send(response, failed(asApiError(thrown)))
  }
}

/** A request on its way to its handler. */
export interface Pending {
  readonly route: ReturnType<typeof routeOf>
  readonly body: Json
  readonly upload: Upload | undefined
  readonly request: IncomingMessage
  readonly effect: RequestEffect | undefined
}

async function answerOf(handlers: Handlers, pending: Pending): Promise<Answer> {
  try {
    return await handlers.answer(pending)
  } catch (thrown) {
    if (thrown instanceof CutUpload || pending.request.socket.destroyed) throw thrown
    return failed(asApiError(thrown))
  }
}

/** An effect that takes the place of the answer. */
type Ending = RequestEffect & { readonly kind: 'error' | 'hang' | 'reset' }

function isEnding(effect: RequestEffect | undefined): effect is Ending {
  return effect?.kind === 'error' || effect?.kind === 'hang' || effect?.kind === 'reset'
}

function end(effect: Ending, info: RequestInfo, response: ServerResponse): void {
  if (effect.kind === 'reset') response.socket?.destroy()
  if (effect.kind !== 'error') return
  const proto = injected(effect)
  const status = mark(info, effect.status ?? new ApiError(proto.reason, '').status)
  send(response, { status, body: envelope(proto, status) })
}

function mark(info: RequestInfo, status: number): number {
  info.status = status
  return status
}

/** The largest body of a request that is no upload. */
const LARGEST_BODY = 10 * 1024 * 1024

async function readJson(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= LARGEST_BODY) chunks.push(chunk)
  }
  if (size > LARGEST_BODY) throw new ApiError('invalid', `Request payload size exceeds the limit: ${LARGEST_BODY} bytes.`)
  if (size === 0) return {}
  try {
    return object(JSON.parse(Buffer.concat(chunks).toString()))
  } catch {
    throw new ApiError('badRequest', 'Invalid JSON payload received.')
  }
}
