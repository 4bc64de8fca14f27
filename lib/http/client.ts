import { isAscii } from 'node:buffer'
import { Agent, type Dispatcher, request } from 'undici'
import { ConfigError, DataError, HeadraceError, TransientError } from '../errors.ts'
import { type Backoff, backoff, hintedWait } from './retry.ts'

/** What one chunk asked of its API. */
export interface HttpUsage {
  requests: number
  retries: number
  /** Bytes of bodies, as they came over the wire. */
  bytes: number
  /** Milliseconds waited because the API said so, or after a failure. */
  waitedMs: number
}

/** A JSON answer. */
export interface JsonAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: unknown
}

/** What a request may say besides its address. */
export interface JsonRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  /**
   * Whether an answer of this status and body (its first 2,000 characters) means that the page token has expired. The chunk is then read
   * again from its first page.
   */
  readonly tokenExpired?: (status: number, body: string) => boolean
}

/** HTTP for connectors: JSON in, JSON out; retries, deadlines and accounting are not the connector's business. */
export interface Http {
  json(url: string | URL, request?: JsonRequest): Promise<JsonAnswer>
  /** What was asked so far. */
  readonly usage: Readonly<HttpUsage>
}

/** Settings of the client; times in milliseconds. */
export interface HttpOptions {
  /** Tries of one request, the first included. */
  readonly attempts: number
  /** Whole time of one try, from connecting to the last byte. */
  readonly deadlineMs: number
  /** Longest wait that is slept; a longer one parks the chunk. */
  readonly longestWaitMs: number
  readonly backoff: Backoff
  /** Largest body taken into memory. */
  readonly bodyLimit: number
}

export const HTTP_DEFAULTS: HttpOptions = {
  attempts: 6,
  deadlineMs: 120_000,
  longestWaitMs: 60_000,
  backoff: { baseMs: 500, capMs: 30_000 },
  bodyLimit: 256 * 2 ** 20,
}

/** What the client needs of its surroundings. */
export interface HttpContext {
  readonly signal: AbortSignal
  readonly dispatcher: Dispatcher
  readonly options: HttpOptions
  /** Waits, or rejects when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  now(): number
  /** Told of every answer: its status, or 0 when there was none, and the seconds it took. */
  onRequest(status: number, seconds: number): void
}

/** The connections of a process. One pool per origin; no pipelining, because one slow answer would hold up the others. */
export function createDispatcher(): Agent {
  return new Agent({ connections: 32, pipelining: 1, keepAliveTimeout: 10_000, connect: { timeout: 10_000 } })
}

/** The address without its query, which often carries tokens; the only form that may stand in an error or a log. */
export function safeUrl(url: string | URL): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

type Answer = { readonly status: number; readonly headers: JsonAnswer['headers']; readonly text: string }

/** A client for one attempt of one chunk. */
export function createHttp(context: HttpContext): Http {
  const usage: HttpUsage = { requests: 0, retries: 0, bytes: 0, waitedMs: 0 }

  async function json(url: string | URL, asked: JsonRequest = {}): Promise<JsonAnswer> {
    const { options } = context
    for (let attempt = 1; ; attempt++) {
      const outcome = await once(url, asked, context, usage).catch((error: unknown) => error)
      if (!(outcome instanceof Error)) return outcome as JsonAnswer
      context.signal.throwIfAborted()
      if (!(outcome instanceof Retryable)) throw outcome
      const { hintMs, error } = outcome
      const waitMs = hintMs === undefined ? backoff(attempt, options.backoff) : hintMs + backoff(1, options.backoff)
      if (hintMs !== undefined && waitMs > options.longestWaitMs) throw throttled(url, waitMs, context.now(), error)
      if (attempt >= options.attempts) throw error
      usage.retries++
      usage.waitedMs += waitMs
      await context.sleep(waitMs, context.signal)
    }
  }

  return { json, usage }
}

/** A failed try, and the wait the server asked for. */
class Retryable extends Error {
  readonly error: HeadraceError
  readonly hintMs: number | undefined

  constructor(error: HeadraceError, hintMs?: number) {
    super(error.message)
    this.error = error
    this.hintMs = hintMs
  }
}

async function once(url: string | URL, asked: JsonRequest, context: HttpContext, usage: HttpUsage): Promise<JsonAnswer> {
  const { status, headers, text } = await exchange(url, asked, context, usage)
  if (status < 200 || status > 299) throw refusal(url, status, headers, text, asked, context)
  try {
    return { status, headers, body: JSON.parse(text) }
  } catch (error) {
    throw new Retryable(
      new TransientError('API_BODY_BROKEN', {
        message: `${safeUrl(url)} answered ${status} with ${text.length} characters that are not JSON (${excerpt(text)})`,
        hint: 'Nothing of this chunk was published. If it stays, the API or a proxy before it sends something else than JSON.',
        cause: error,
      }),
    )
  }
}

async function exchange(url: string | URL, asked: JsonRequest, context: HttpContext, usage: HttpUsage): Promise<Answer> {
  const { signal, dispatcher, options, onRequest } = context
  const deadline = AbortSignal.timeout(options.deadlineMs)
  const started = performance.now()
  let status = 0
  usage.requests++
  try {
    const answer = await request(url, {
      dispatcher,
      method: asked.method ?? 'GET',
      headers: {
        accept: 'application/json',
        ...(asked.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...asked.headers,
      },
      body: asked.body === undefined ? null : JSON.stringify(asked.body),
      signal: AbortSignal.any([signal, deadline]),
    })
    status = answer.statusCode
    const text = await bodyText(answer.body, url, options.bodyLimit, usage)
    return { status, headers: answer.headers, text }
  } catch (error) {
    if (signal.aborted || error instanceof HeadraceError) throw error
    const why = deadline.aborted ? `no complete answer within ${options.deadlineMs / 1000} s` : reasonOf(error)
    throw new Retryable(
      new TransientError('API_UNREACHABLE', {
        message: `${safeUrl(url)}: ${why}`,
        hint: 'Nothing of this chunk was published. Run again when the API can be reached.',
        cause: error,
      }),
    )
  } finally {
    onRequest(status, (performance.now() - started) / 1000)
  }
}

async function bodyText(
  body: Dispatcher.ResponseData['body'],
  url: string | URL,
  limit: number,
  usage: HttpUsage,
): Promise<string> {
  const blocks: Buffer[] = []
  let bytes = 0
  for await (const block of body as AsyncIterable<Buffer>) {
    bytes += block.length
    usage.bytes += block.length
    if (bytes > limit) {
      body.destroy()
      throw new DataError('BODY_TOO_LARGE', {
        message: `${safeUrl(url)}: one answer is larger than ${Math.round(limit / 2 ** 20)} MiB`,
        hint: 'Nothing of this chunk was published. Ask the API for smaller pages, or use shorter windows.',
      })
    }
    blocks.push(block)
  }
  const whole = blocks.length === 1 ? (blocks[0] as Buffer) : Buffer.concat(blocks, bytes)
  // Most answers are ASCII, and decoding that is four times faster.
  return whole.toString(isAscii(whole) ? 'latin1' : 'utf8')
}

/** What an answer that is not 2xx means. */
function refusal(
  url: string | URL,
  status: number,
  headers: JsonAnswer['headers'],
  text: string,
  { tokenExpired }: JsonRequest,
  { now }: HttpContext,
): Error {
  const message = `${safeUrl(url)} answered ${status} (${excerpt(text)})`
  if (tokenExpired?.(status, text.slice(0, 2_000))) {
    return new TransientError('PAGE_TOKEN_EXPIRED', { message, hint: 'The chunk is read again from its first page.' })
  }
  if (status === 429 || status >= 500) {
    const hint = hintedWait(headers['retry-after'], now())
    const code = status === 429 ? 'API_THROTTLED' : 'API_FAILED'
    return new Retryable(
      new TransientError(code, { message, hint: 'Nothing of this chunk was published. Run again later.' }),
      hint,
    )
  }
  return new ConfigError('API_REFUSED', {
    message,
    hint: 'Nothing of this chunk was published. Check credentials, permissions and the parameters of the request.',
  })
}

function throttled(url: string | URL, waitMs: number, now: number, cause: HeadraceError): TransientError {
  return new TransientError('API_THROTTLED', {
    message: `${safeUrl(url)} asks to wait ${Math.ceil(waitMs / 1000)} s`,
    hint: 'The chunk is parked and left to others meanwhile; run again after that time.',
    notBefore: now + waitMs,
    cause,
  })
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : ''
  return code + error.message
}

/** The beginning of a body, on one line. */
function excerpt(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  if (line === '') return 'an empty body'
  return line.length > 200 ? `${line.slice(0, 200)}…` : line
}
