import { type Dispatcher, errors, request } from 'undici'
import { ConfigError, HeadraceError, TransientError } from '../errors.ts'
import { type TryOutcome, UNPACED } from '../pace/pace.ts'
import { openSpan } from '../trace.ts'
import { decoded, ENCODINGS } from './body.ts'
import type { Authorization, HttpContext, HttpUsage, JsonRequest } from './client.ts'
import type { AnswerHeaders } from './policy.ts'
import { type Sent, safeUrl } from './redact.ts'
import { Retryable } from './retry.ts'

/** How long a try may take; milliseconds. */
export interface Deadlines {
  /** Until the headers are there. */
  readonly headersMs: number
  /** Between two blocks of the body. */
  readonly idleMs: number
  /** From connecting to the last byte. */
  readonly wholeMs: number
}

/** An answer whose body is on its way. It must be closed. */
export interface Arriving {
  readonly status: number
  readonly headers: AnswerHeaders
  readonly sent: Sent
  /** The body, decoded, block by block; throws `Retryable` where the same request may succeed. */
  readonly blocks: AsyncGenerator<Buffer>
  /** The try is over, and what it failed with if it did; only the first call counts. */
  close(outcome: Omit<TryOutcome, 'status'>, error?: unknown): void
}

/** The deadline of some part of a try has passed. */
class Overdue extends Error {}

/**
 * One try as far as the headers: waits for leave, gets the authorization, sends. `refused` is the authorization that the same request was refused with
 * just before.
 */
export async function send(
  url: URL,
  asked: JsonRequest,
  context: HttpContext,
  usage: HttpUsage,
  { headersMs, idleMs, wholeMs }: Deadlines,
  refused?: Authorization,
): Promise<Arriving> {
  const { signal, pace = UNPACED, client, onRequest } = context
  signal.throwIfAborted()
  const permit = await pace.acquire({ client, endpoint: asked.endpoint ?? '', cost: asked.cost ?? 1 }, signal)
  const sent = await authorized(url, asked, signal, refused).catch((error: unknown) => {
    permit.done({ status: 0, outcome: 'abandoned' })
    throw error
  })
  const started = performance.now()
  const span = openSpan(asked.method ?? 'GET', {
    'http.request.method': asked.method ?? 'GET',
    'server.address': url.hostname,
    'server.port': Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
    'url.path': url.pathname,
  })
  // Not AbortSignal.any and AbortSignal.timeout: those would stay behind, one pair per request, until the deadline has passed.
  const stopper = new AbortController()
  const stopped = new Promise<never>((_, reject) => {
    stopper.signal.addEventListener('abort', () => reject(stopper.signal.reason), { once: true })
  })
  stopped.catch(() => undefined)
  const abort = (): void => stopper.abort(signal.reason)
  const within = (ms: number, what: string): NodeJS.Timeout =>
    setTimeout(() => stopper.abort(new Overdue(`${what} ${ms / 1_000} s`)), ms)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  const whole = within(wholeMs, 'no complete answer within')
  const headersTimer = headersMs < wholeMs ? within(headersMs, 'no answer within') : undefined
  let status = 0
  let closed = false
  const close = (outcome: Omit<TryOutcome, 'status'>, error?: unknown): void => {
    if (closed) return
    closed = true
    clearTimeout(whole)
    clearTimeout(headersTimer)
    signal.removeEventListener('abort', abort)
    onRequest(status, (performance.now() - started) / 1_000)
    if (status > 0) span.set({ 'http.response.status_code': status })
    span.end(error instanceof Retryable ? error.error : error, status >= 400 ? String(status) : undefined)
    permit.done({ status, ...outcome })
  }

  async function* received(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    // The clock stands still while nobody asks for the next block.
    let idle = within(idleMs, 'not a byte for')
    try {
      for await (const block of body) {
        clearTimeout(idle)
        usage.bytes += block.length
        yield block
        idle = within(idleMs, 'not a byte for')
      }
    } catch (error) {
      throw failureOf(error, url, true)
    } finally {
      clearTimeout(idle)
    }
  }

  try {
    usage.requests++
    // undici heeds the signal only once there is a connection; to wait for one must not take longer either.
    const answer = await Promise.race([ask(sent, asked, context.dispatcher, stopper.signal), stopped])
    clearTimeout(headersTimer)
    status = answer.statusCode
    const { headers, body } = answer
    return { status, headers, sent, blocks: decoded(url, headers, received(body)), close }
  } catch (error) {
    const failure = signal.aborted ? signal.reason : failureOf(error, url, false)
    close({ outcome: signal.aborted || error instanceof HeadraceError ? 'abandoned' : 'failed' }, failure)
    throw failure
  }
}

/** The request with its authorization. Its errors are nobody else's: they are not those of the API. */
async function authorized(
  url: URL,
  { headers = {}, body, authorize }: JsonRequest,
  signal: AbortSignal,
  refused: Authorization | undefined,
): Promise<Sent> {
  const authorization = authorize === undefined ? {} : await unlessAborted(authorize({ signal, refused }), signal)
  const own = Object.fromEntries(
    Object.entries({ ...headers, ...authorization }).map(([name, value]) => [name.toLowerCase(), value]),
  )
  return {
    url,
    headers: {
      accept: 'application/json',
      'accept-encoding': ENCODINGS,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...own,
    },
    body: body === undefined ? '' : JSON.stringify(body),
    authorization,
  }
}

/** What is waited for, or the reason of the signal as soon as it aborts. */
async function unlessAborted<T>(waited: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    return await Promise.race([waited, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function ask(
  { url, headers, body }: Sent,
  { method = 'GET' }: JsonRequest,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  try {
    // The deadlines of the try are the only clocks.
    return await request(url, {
      dispatcher,
      method,
      headers,
      body: body === '' ? null : body,
      signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  } catch (error) {
    if (!(error instanceof errors.InvalidArgumentError)) throw error
    throw new ConfigError('CONFIG_INVALID', {
      message: `${safeUrl(url)}: the request cannot be sent: ${error.message}`,
      hint: 'Nothing was sent. Correct the connector, or the credential it puts into a header.',
    })
  }
}

/** What a try that broke means. An answer that takes too long, or breaks off, may be too much for its server. */
function failureOf(error: unknown, url: URL, answered: boolean): unknown {
  if (error instanceof HeadraceError || error instanceof Retryable) return error
  return new Retryable(
    new TransientError('API_UNREACHABLE', {
      message: `${safeUrl(url)}: ${reasonOf(error)}`,
      hint: 'Nothing of this chunk was published. Run again when the API can be reached.',
      cause: error,
    }),
    { why: answered || error instanceof Overdue ? 'heavy' : 'failed' },
  )
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, name } = error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (message === '') return code || name
  return message.includes(code) ? message : `${code}: ${message}`
}
