import { Agent, type Dispatcher } from 'undici'
import { ConfigError, type HeadraceError, TransientError } from '../errors.ts'
import { interpret } from './answer.ts'
import { type Answer, exchange } from './exchange.ts'
import { safeUrl } from './redact.ts'
import { type Backoff, backoff, Retryable } from './retry.ts'

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
   * Whether an answer of this status and body (its first 2,000 bytes) means that the page token has expired. The chunk is then read again
   * from its first page.
   */
  readonly tokenExpired?: (status: number, body: string) => boolean
}

/** HTTP for connectors: JSON in, JSON out; retries, deadlines and accounting are not the connector's business. */
export interface Http {
  json(url: string | URL, request?: JsonRequest): Promise<JsonAnswer>
  /**
   * Asks now for what is wanted later: what is returned gives the answer. Until it is called the answer is kept as it came, because objects
   * that wait outlive a garbage collection and bytes do not. A failure is told, or tried again, when it is called.
   */
  ahead(url: string | URL, request?: JsonRequest): () => Promise<JsonAnswer>
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

/** What the client needs of its surroundings. */
export interface HttpContext {
  readonly signal: AbortSignal
  readonly dispatcher: Dispatcher
  readonly options: HttpOptions
  /** Waits, or rejects when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  now(): number
  /** Told of every try: the status of its answer, or 0 when there was none, and the seconds it took. */
  onRequest(status: number, seconds: number): void
}

/**
 * The connections of a process. One pool per origin; no pipelining and no HTTP/2, because one slow answer would hold up, and one broken
 * connection would break, the others.
 */
export function createDispatcher(): Agent {
  return new Agent({
    connections: 32,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: 10_000,
    connect: { timeout: 10_000 },
  })
}

/** A client for one attempt of one chunk. */
export function createHttp(context: HttpContext): Http {
  const usage: HttpUsage = { requests: 0, retries: 0, bytes: 0, waitedMs: 0 }

  function ahead(address: string | URL, asked: JsonRequest = {}): () => Promise<JsonAnswer> {
    const url = absolute(address)
    const first = exchange(url, asked, context, usage)
    // Its error belongs to whoever asks for the answer; until then it must not count as unhandled.
    first.catch(() => undefined)
    return () => answerTo(url, asked, first)
  }

  async function answerTo(url: URL, asked: JsonRequest, first: Promise<Answer>): Promise<JsonAnswer> {
    const { options, signal } = context
    for (let attempt = 1, answering = first; ; attempt++) {
      try {
        const answer = await answering
        signal.throwIfAborted()
        try {
          return interpret(url, asked, answer, context.now)
        } finally {
          answer.body.release()
        }
      } catch (thrown) {
        signal.throwIfAborted()
        if (!(thrown instanceof Retryable)) throw thrown
        const waitMs = pause(url, thrown, attempt, context)
        if (attempt >= options.attempts) throw thrown.error
        await context.sleep(waitMs, signal)
        usage.waitedMs += waitMs
      }
      usage.retries++
      answering = exchange(url, asked, context, usage)
    }
  }

  return { json: async (url, asked) => ahead(url, asked)(), ahead, usage }
}

/** How long to wait before the next try. The hint of the server comes first, and jitter on top of it, never below. */
function pause(url: URL, { hintMs, error }: Retryable, attempt: number, { options, now }: HttpContext): number {
  if (hintMs === undefined) return backoff(attempt, options.backoff)
  const waitMs = hintMs + backoff(1, options.backoff)
  if (hintMs > options.longestWaitMs) throw throttled(url, hintMs, now() + waitMs, error)
  return waitMs
}

function throttled(url: URL, hintMs: number, notBefore: number, cause: HeadraceError): TransientError {
  return new TransientError('API_THROTTLED', {
    message: `${safeUrl(url)} asks to wait ${Math.ceil(hintMs / 1_000)} s`,
    hint: 'The chunk is parked and left to others meanwhile; run again after that time.',
    notBefore,
    cause,
  })
}

/** The address as a URL, or `CONFIG_INVALID`. */
export function absolute(address: string | URL): URL {
  const url = URL.parse(String(address))
  if (url !== null) return url
  throw new ConfigError('CONFIG_INVALID', {
    message: `${JSON.stringify(String(address).split('?')[0])} is not an absolute address`,
    hint: 'Nothing was sent. Correct the connector.',
  })
}
