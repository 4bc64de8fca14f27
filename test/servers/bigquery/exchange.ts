import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Answer, drip, failed, ok, send, sendHalf, sendPage } from './answers.ts'
import type { Context } from './context.ts'
import { ApiError, asApiError, envelope } from './errors.ts'
import {
  type Armed,
  type Faults,
  injected,
  type JobFault,
  type RequestEffect,
  type RequestFault,
  type RequestInfo,
} from './faults.ts'
import type { Handlers } from './handlers.ts'
import { subjectOf } from './job-routes.ts'
import { type Json, list, object, text } from './json.ts'
import { routeOf } from './routes.ts'
import { CutUpload, openMultipart, type Upload } from './uploads.ts'

/** What a hook wants done with a request: nothing, or that its connection is destroyed on the spot. */
export type Verdict = 'drop' | undefined

/**
 * Told of every request twice: when it has arrived and nothing was done, and when everything was done and nothing answered. Says `drop` to
 * destroy the connection at that moment.
 */
export type OnRequest = (info: RequestInfo, moment: 'arrived' | 'done') => Verdict | Promise<Verdict> | void | Promise<void>

/** What every exchange of one server shares. */
export interface Exchange {
  readonly context: Context
  readonly handlers: Handlers
  readonly log: RequestInfo[]
  readonly onRequest: OnRequest | undefined
}

/** One request, from its arrival to its answer, or to what a fault makes of it. */
export async function exchange(
  { context, handlers, log, onRequest }: Exchange,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // A request that was cut off has no socket any more.
  const { socket } = request
  const drop = (): void => void socket.destroy()
  try {
    if (request.url === '/_faults') return send(response, await control(context.faults, request))
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
    if (effect?.kind === 'content-type')
      return send(response, { ...answer, headers: { ...answer.headers, 'content-type': effect.value } })
    if (effect?.kind === 'drip') return drip(response, answer)
    send(response, answer)
  } catch (thrown) {
    // A client that left in the middle of its request gets no answer, and neither does one that is cut off.
    if (thrown instanceof CutUpload || socket.destroyed || response.headersSent) return drop()
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
    if (thrown instanceof CutUpload) throw thrown
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

/** Arms a fault, or says how often those armed so have struck: for a server in another process. */
async function control(faults: Faults, request: IncomingMessage): Promise<Answer> {
  if (request.method === 'GET') return ok({ fired: armed.get(faults)?.map(({ fired }) => fired) ?? [] })
  const all = armed.get(faults) ?? []
  armed.set(faults, all)
  all.push(faults.add((await readJson(request)) as unknown as RequestFault | JobFault))
  return ok({ index: all.length - 1 })
}

/** The faults each server was told of over the wire. */
const armed = new WeakMap<Faults, Armed[]>()

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
