import type { Dispatcher } from 'undici'
import { dayCount } from '../chunk.ts'
import type { Connector } from '../connector.ts'
import { type Authorize, createHttp, type Http } from '../http/client.ts'
import type { RetryBudget } from '../http/retry.ts'
import type { Claim } from '../ledger/ledger.ts'
import type { PaceLedger } from '../ledger/pace.ts'
import { codeClass, type Metrics } from '../metrics.ts'
import type { Options } from '../options.ts'
import type { Pace } from '../pace/pace.ts'
import { Pacer } from '../pace/pacer.ts'

/** What all chunks of a run that ask one API share. */
export interface ApiContext {
  readonly dispatcher: Dispatcher
  /** Retries of all requests to the API. */
  readonly budget: RetryBudget
  /** What authorizes requests for the data of a client; undefined where the connector declares nothing. */
  authorize(client: string): Authorize | undefined
  /** When a request may go. */
  readonly pace: Pace
  readonly options: Options
  readonly metrics: Metrics
  /** Epoch milliseconds. */
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** The pacer of an API, shared by everything in this process that asks it, and through the ledger by other processes. */
export function openPacer(
  { name: api, api: policy }: Connector<unknown>,
  ledger: PaceLedger,
  { options, metrics, now, sleep }: Pick<ApiContext, 'options' | 'metrics' | 'now' | 'sleep'>,
): Pacer {
  return new Pacer({
    api,
    limits: policy?.limits,
    concurrency: policy?.concurrency,
    longestWaitMs: options.longestWaitSeconds * 1_000,
    ledger,
    now,
    sleep,
    onWait: ms => metrics.apiPaceSeconds.inc({ api }, ms / 1_000),
    onConcurrency: limit => metrics.apiConcurrency.set({ api }, limit),
  })
}

/** HTTP for one attempt at a chunk, as the settings and the connector want it. */
export function openHttp(
  { chunk, attempt }: Claim,
  { name: api, api: policy }: Connector<unknown>,
  context: ApiContext,
  signal: AbortSignal,
): Http {
  const { dispatcher, budget, pace, options, metrics, now, sleep } = context
  return createHttp({
    signal,
    client: chunk.client,
    dispatcher,
    budget,
    pace,
    api: policy,
    options: {
      attempts: options.requestAttempts,
      deadlineMs: options.requestSeconds * 1_000,
      streamMs: options.streamSeconds * 1_000,
      idleMs: options.idleSeconds * 1_000,
      longestWaitMs: options.longestWaitSeconds * 1_000,
      backoff: { baseMs: 500, capMs: 30_000 },
      bodyLimit: options.bodyMebibytes * 2 ** 20,
      heavyTries: dayCount(chunk.window) === 1 ? Number.POSITIVE_INFINITY : attempt === 1 ? 2 : 1,
    },
    now,
    sleep,
    onRequest: (status, seconds) => {
      metrics.apiRequests.inc({ api, code_class: codeClass(status) })
      metrics.apiSeconds.observe({ api }, seconds)
    },
  })
}
