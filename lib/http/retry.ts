import type { HeadraceError } from '../errors.ts'
import type { ApiAnswer, ReadWait } from './policy.ts'

/** Bounds of exponential backoff, in milliseconds. */
export interface Backoff {
  readonly baseMs: number
  readonly capMs: number
}

/**
 * How long to wait after the given failed try (1 is the first): full jitter, a uniform choice between nothing and the doubled base, capped.
 */
export function backoff(attempt: number, { baseMs, capMs }: Backoff, random: () => number = Math.random): number {
  return Math.round(random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30)))
}

/** No quota is longer than a month; a number beyond that is an instant or a mistake. */
export const LONGEST_WAIT_MS = 31 * 86_400_000

/** The wait an answer asks for, in milliseconds: of the first reader that finds one. Nothing for none, for garbage, and for the past. */
export function hintedWait(answer: ApiAnswer, readers: readonly ReadWait[], now: number): number | undefined {
  for (const read of readers) {
    const wait = read(answer, now) ?? 0
    if (wait > 0 && wait <= LONGEST_WAIT_MS) return wait
  }
  return undefined
}

/**
 * Why a try failed: `failed` in any way that may pass; `throttled`; `heavy`, it took too long or broke off, as answers do that are too much for
 * their server; `unauthorized`, the credential is not valid any more.
 */
export type Why = 'failed' | 'throttled' | 'heavy' | 'unauthorized'

/** A failed try that may be repeated. */
export class Retryable extends Error {
  /** What is thrown when it is not repeated. */
  readonly error: HeadraceError
  readonly why: Why
  /** Milliseconds the server asked to wait. */
  readonly hintMs: number | undefined
  /** The headers that were not accepted, where that is why. */
  readonly authorization: Readonly<Record<string, string>> | undefined

  constructor(
    error: HeadraceError,
    details: {
      readonly why: Why
      readonly hintMs?: number | undefined
      readonly authorization?: Readonly<Record<string, string>>
    },
  ) {
    super(error.message)
    this.error = error
    this.why = details.why
    this.hintMs = details.hintMs
    this.authorization = details.authorization
  }
}

/**
 * The retries that all chunks of a process may make at one API: each takes one, and each request that is answered gives one back. So an API that
 * fails half of the time is read all the same, and one that is down gets hardly more than the first request of each chunk. A try that the server
 * itself asked for, by saying how long to wait, takes nothing.
 */
export class RetryBudget {
  readonly #size: number
  #left: number

  /** `size`: retries before anything was answered, and the most that may pile up. */
  constructor(size = 50) {
    this.#size = size
    this.#left = size
  }

  /** Whether there is none left: the API is taken for down, and nothing it does says anything about a single request. */
  get empty(): boolean {
    return this.#left < 1
  }

  /** Takes a retry, if there is one. */
  take(): boolean {
    if (this.empty) return false
    this.#left--
    return true
  }

  /** A request was answered. */
  earn(): void {
    this.#left = Math.min(this.#size, this.#left + 1)
  }
}
