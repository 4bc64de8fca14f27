import type { Window } from './chunk.ts'
import type { WarningName } from './errors.ts'
import type { Authorize, Http } from './http/client.ts'
import type { ApiPolicy } from './http/policy.ts'
import type { OAuth } from './oauth/oauth.ts'

/** What a connector is asked for: the records of one client in one window. `S` is how the service states what they add up to. */
export interface PageRequest<S = object> {
  readonly client: string
  /** Whole days, both ends included. */
  readonly window: Window
  /** Aborts when the chunk is given up; every wait must end within a second of it. */
  readonly signal: AbortSignal
  /** HTTP with retries, deadlines, accounting and redaction. */
  readonly http: Http
  /** Where the connector declares `auth`: what authorizes a request, to be handed to `http` with each request that needs it. */
  readonly authorize?: Authorize
  /** Waits so many milliseconds; rejects when the chunk is given up. */
  sleep(ms: number): Promise<void>
  /** Epoch milliseconds. */
  now(): number
  /** Says something a person should know although the chunk goes on. */
  warn(name: WarningName, message: string): void
  /**
   * Says what the service itself states that all records of the request add up to, as it came: from a page, or from a request of its own, before the
   * pages end. Where it is said again it must be the same, or the chunk is read again (`PAGE_TOTAL_CHANGED`).
   */
  totals(stated: S): void
}

/** The records of one answer, in the order they came: the unit that flows through the streams. */
export type Page<R> = readonly R[]

/**
 * Code that reads one service, page by page, and knows nothing else. `R` is what the service promises for each record;
 * headrace believes nothing of it at run time. `S` is the same for what the service states that the records add up to; default nothing.
 *
 * `pages` must end by itself, must yield every record of the request exactly once, may be called again for the same request, and
 * throws a `TransientError` where another try may help and a `DataError` where it will not.
 */
export interface Connector<R, S = never> {
  readonly name: string
  /** What is particular to the answers of the API; default what HTTP says about them. */
  readonly api?: ApiPolicy
  /** How the API is told who asks, where tokens have to be obtained: `refreshToken()`, `clientCredentials()` or `serviceAccount()`. */
  readonly auth?: OAuth
  /**
   * Where its records come from, as lineage names it: an absolute address, with placeholders as they stand, and behind a `#` which part of it, where
   * the address alone does not say. Its query is told nobody. Default: nobody is told more than the name.
   */
  address?(): string
  pages(request: PageRequest<S>): AsyncIterable<Page<R>>
}

/** Keeps the types of a connector written as a literal. */
export function defineConnector<R extends object, S extends object = never>(connector: Connector<R, S>): Connector<R, S> {
  return connector
}
