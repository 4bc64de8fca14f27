/**
 * A limit that an API documents: so many requests in so many seconds, of all requests of the application, of one client's account, or of one endpoint
 * of that account. Where the API weighs requests, `requests` counts their costs.
 */
export interface Limit {
  readonly per: LimitState['bucket']
  readonly requests: number
  readonly seconds: number
  /**
   * What the bucket of the API holds, where it documents a token bucket: then so many may go at once, and `requests` in `seconds` is what flows in. By
   * default `requests` is a promise for every window of `seconds`, wherever it begins: they are spread, and a twentieth of them may go at once.
   */
  readonly burst?: number
}

/** What a server says is left of one of its limits. Everything but the bucket is as far as the server tells. */
export interface LimitState {
  /** Whose limit it is: of all requests of the application, of one client's account, or of one endpoint of that account. */
  readonly bucket: 'app' | 'account' | 'endpoint'
  /** What it is called where it is watched; without a name it only slows requests down. */
  readonly name?: string
  /** What is left, in units of the API: requests, points, tokens. */
  readonly remaining?: number
  /** What there is when nothing is used, in the same units. */
  readonly limit?: number
  /** Milliseconds from now until it is whole again. */
  readonly resetMs?: number
  /** The share that is used: 0 is nothing, 1 is all of it; a server may say more than 1. */
  readonly usedRatio?: number
}

/** What a try wants to ask. */
export interface PaceRequest {
  readonly client: string
  /** What the API counts by itself; the empty text is the API as a whole. */
  readonly endpoint: string
  /** What the request costs, in units of the API; 1 where requests are counted. */
  readonly cost: number
}

/** How a try ended. */
export interface TryOutcome {
  /** Status of the answer; 0 when there was none. */
  readonly status: number
  /** `abandoned`: given up by this side before there was an answer, which says nothing about the API. */
  readonly outcome: 'ok' | 'throttled' | 'failed' | 'abandoned'
  /** Milliseconds the server asks to wait. */
  readonly waitMs?: number
  /** What the server says is left. */
  readonly limits?: readonly LimitState[]
}

/** Leave for one try; whoever got it says once how the try ended. */
export interface Permit {
  done(outcome: TryOutcome): void
}

/** Decides when a try may be made. */
export interface Pace {
  /**
   * Waits for leave to make one try. Rejects when the signal aborts, and with `API_THROTTLED` and a time not before which to come back when the
   * wait is longer than a slot is worth.
   */
  acquire(request: PaceRequest, signal: AbortSignal): Promise<Permit>
}

/** No pace at all. */
export const UNPACED: Pace = { acquire: async () => ({ done: () => undefined }) }
