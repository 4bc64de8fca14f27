import { Agent, type Dispatcher } from 'undici'
import { ConfigError, type HeadraceError, TransientError } from '../errors.ts'
import type { Pace } from '../pace/pace.ts'
import { type Answer, tooLarge } from './answer.ts'
import { exchange } from './exchange.ts'
import type { AnswerHeaders, ApiPolicy, Classify } from './policy.ts'
import { safeText, safeUrl } from './redact.ts'
import { type Backoff, backoff, Retryable, type RetryBudget } from './retry.ts'
import { openStream } from './stream.ts'

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
  readonly headers: AnswerHeaders
  readonly body: unknown
}

/** Headers that authorize a request. */
export type Authorization = Readonly<Record<string, string>>

/**
 * Gives the headers that authorize a try, before every try. `refused` are those it gave for the try before, when the API did not accept them any more
 * (401): then it gets new ones, and the same request is tried once more.
 */
export type Authorize = (ask: {
  readonly refused: Authorization | undefined
  /** Aborts when the request is given up. */
  readonly signal: AbortSignal
}) => Promise<Authorization>

/** What a request may say besides its address. */
export interface JsonRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  /** The headers that authorize it, where they change over time. They go wherever the request goes: leave it out for addresses of others. */
  readonly authorize?: Authorize
  /**
   * Whether it only reads, so that it may be sent again although an answer was lost. Default true, POST included: many APIs are read by POST. With
   * false it is repeated only when the API throttled it or did not accept its credential.
   */
  readonly read?: boolean
  /** Says what an answer to this request means, before the API's own rules are asked. */
  readonly classify?: Classify
  /** What the API counts by itself, for pacing. Default the API as a whole. */
  readonly endpoint?: string
  /** What it costs, in units of the API's limit. Default 1. */
  readonly cost?: number
}

/** HTTP for connectors: JSON in, JSON out; retries, deadlines and accounting are not the connector's business. */
export interface Http {
  json(url: string | URL, request?: JsonRequest): Promise<JsonAnswer>
  /**
   * Asks now for what is wanted later: what is returned gives the answer. Until it is called the answer is kept as it came, because objects
   * that wait outlive a garbage collection and bytes do not. A failure is told, or tried again, when it is called.
   */
  ahead(url: string | URL, request?: JsonRequest): () => Promise<JsonAnswer>
  /**
   * The body of an answer that is too big for memory, decoded, block by block, as fast as it is read. It is asked for when the first block is, and again
   * when that fails; a body that breaks off later is an error, and the chunk is read again.
   */
  stream(url: string | URL, request?: JsonRequest): AsyncGenerator<Buffer>
  /** What was asked so far. */
  readonly usage: Readonly<HttpUsage>
}

/** Settings of the client; times in milliseconds. */
export interface HttpOptions {
  /** Tries of one request, the first included. */
  readonly attempts: number
  /** Whole time of one try, from connecting to the last byte; for a stream, to the first. */
  readonly deadlineMs: number
  /** Whole time of one try of a stream. */
  readonly streamMs: number
  /** Longest pause within a body. */
  readonly idleMs: number
  /** Longest wait that is slept; a longer one parks the chunk. */
  readonly longestWaitMs: number
  readonly backoff: Backoff
  /** Largest body taken into memory, decoded. */
  readonly bodyLimit: number
  /**
   * Tries of one request that may take too long or break off before the window counts as too much for the API; `Infinity` where the window cannot be made
   * any smaller.
   */
  readonly heavyTries: number
}

/** What the client needs of its surroundings. */
export interface HttpContext {
  readonly signal: AbortSignal
  /** Whose data is asked for. */
  readonly client: string
  readonly dispatcher: Dispatcher
  readonly options: HttpOptions
  /** What is particular to the API. */
  readonly api?: ApiPolicy | undefined
  /** Shared by everybody who asks this API. */
  readonly budget: RetryBudget
  /** Asked before every try. Default no pace at all. */
  readonly pace?: Pace | undefined
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
    const once = (refused?: Authorization): Promise<Answer> => exchange(url, asked, context, usage, refused)
    const first = once()
    // Its error belongs to whoever asks for the answer; until then it must not count as unhandled.
    first.catch(() => undefined)
    return () =>
      untilDone(url, asked, first, once, answer => ({ status: answer.status, headers: answer.headers, body: answer.json() }))
  }

  async function* stream(address: string | URL, asked: JsonRequest = {}): AsyncGenerator<Buffer> {
    const url = absolute(address)
    const once = (refused?: Authorization): Promise<AsyncGenerator<Buffer>> => openStream(url, asked, context, usage, refused)
    const blocks = await untilDone(url, asked, once(), once, blocks => blocks)
    try {
      yield* blocks
    } catch (thrown) {
      context.signal.throwIfAborted()
      if (!(thrown instanceof Retryable)) throw thrown
      throw thrown.why === 'heavy' && isTooLarge(1) ? tooLarge(thrown.message, thrown.error) : thrown.error
    }
  }

  /** Whether so many answers that took too long or broke off mean that the window is too large, and not that the API is down. */
  function isTooLarge(heavy: number): boolean {
    return heavy >= context.options.heavyTries && !context.budget.empty
  }

  /** Tries until one try works out and its answer is understood. */
  async function untilDone<A, R>(
    url: URL,
    asked: JsonRequest,
    first: Promise<A>,
    once: (refused?: Authorization) => Promise<A>,
    understand: (answer: A) => R,
  ): Promise<R> {
    const { options, signal, budget } = context
    let heavy = 0
    let renewed = false
    for (let attempt = 1, answering = first; ; usage.retries++) {
      try {
        const answer = await answering
        signal.throwIfAborted()
        const understood = understand(answer)
        budget.earn()
        return understood
      } catch (thrown) {
        signal.throwIfAborted()
        if (!(thrown instanceof Retryable)) throw thrown
        const { error, why, hintMs, authorization } = thrown
        if (why === 'unauthorized') {
          if (asked.authorize === undefined || renewed) throw error
          renewed = true
          answering = once(authorization)
          continue
        }
        if (asked.read === false && why !== 'throttled') throw error
        if (why === 'heavy' && isTooLarge(++heavy)) throw tooLarge(`${error.message}, ${heavy} times`, error)
        const waitMs = pause(url, thrown, attempt, context)
        if (attempt++ >= options.attempts) throw error
        if (hintMs === undefined && !budget.take()) throw spent(error)
        await context.sleep(waitMs, signal)
        usage.waitedMs += waitMs
      }
      answering = once()
    }
  }

  return { json: async (url, asked) => ahead(url, asked)(), ahead, stream, usage }
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

function spent(cause: HeadraceError): TransientError {
  return new TransientError('API_RETRIES_SPENT', {
    message: `${cause.message}; not tried again, because so many requests to this API failed before`,
    hint: 'Nothing of this chunk was published. When the API works again, run again.',
    cause,
  })
}

/** The address as a URL of HTTP without credentials in it, or `CONFIG_INVALID`. */
export function absolute(address: string | URL): URL {
  const url = URL.parse(String(address))
  const problem =
    url === null || !/^https?:$/.test(url.protocol)
      ? 'is not an absolute address'
      : url.username + url.password === ''
        ? undefined
        : 'holds a user name or a password'
  if (url !== null && problem === undefined) return url
  throw new ConfigError('CONFIG_INVALID', {
    message: `${JSON.stringify(safeText(String(address)))} ${problem}`,
    hint: 'Nothing was sent. Correct the connector: an address begins with https:// or http://, and credentials go into a header.',
  })
}
