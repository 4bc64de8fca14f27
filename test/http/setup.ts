import {
  createDispatcher,
  createHttp,
  type Http,
  type HttpContext,
  type HttpOptions,
  type JsonRequest,
} from '../../lib/http/client.ts'
import { RetryBudget } from '../../lib/http/retry.ts'

/** The clock of these tests. */
export const NOW = Date.UTC(2026, 0, 31, 12, 0, 0)

/** A client whose waits are written down instead of waited. */
export interface TestClient {
  readonly http: Http
  readonly abort: AbortController
  /** Milliseconds of each wait. */
  readonly waits: readonly number[]
  /** Status of each try, 0 for none. */
  readonly statuses: readonly number[]
  /** Does not wait either, but the clock that `now` shows goes on. */
  sleep(ms: number): Promise<void>
  now(): number
  /** The error of a request that must fail. */
  failure(url: string, request?: JsonRequest): Promise<unknown>
  destroy(): Promise<void>
}

/** Opens a client with connections of its own. */
export function openClient(
  options: Partial<HttpOptions> = {},
  sleep: (ms: number, signal: AbortSignal) => Promise<void> = async () => undefined,
  more: Partial<Pick<HttpContext, 'api' | 'pace' | 'budget'>> = {},
): TestClient {
  const abort = new AbortController()
  const dispatcher = createDispatcher()
  const waits: number[] = []
  const statuses: number[] = []
  const http = createHttp({
    signal: abort.signal,
    client: 'acme',
    budget: new RetryBudget(),
    ...more,
    dispatcher,
    options: {
      attempts: 4,
      deadlineMs: 60_000,
      streamMs: 60_000,
      idleMs: 60_000,
      longestWaitMs: 60_000,
      backoff: { baseMs: 500, capMs: 30_000 },
      bodyLimit: 2 ** 20,
      heavyTries: Number.POSITIVE_INFINITY,
      ...options,
    },
    now: () => NOW,
    sleep: async (ms, signal) => {
      waits.push(ms)
      await sleep(ms, signal)
    },
    onRequest: status => statuses.push(status),
  })
  const failure = async (url: string, request?: JsonRequest): Promise<unknown> => {
    const outcome = await http.json(url, request).then(
      answer => ({ answer }),
      (error: unknown) => ({ error }),
    )
    if ('error' in outcome) return outcome.error
    throw new Error(`${url} gave an answer: ${JSON.stringify(outcome.answer.body)}`)
  }
  let clock = NOW
  return {
    ...{ http, abort, waits, statuses, failure },
    sleep: async ms => {
      waits.push(ms)
      clock += ms
    },
    now: () => clock,
    destroy: () => dispatcher.destroy(),
  }
}
