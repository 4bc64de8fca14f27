import type { HeadraceError } from '../errors.ts'

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
const LONGEST_HINT_MS = 31 * 86_400_000

/**
 * The wait a `Retry-After` header asks for, in milliseconds: seconds or an HTTP date, the longest where it stands more than once. Nothing for
 * none, for garbage, and for the past.
 */
export function hintedWait(header: string | string[] | undefined, now: number): number | undefined {
  const waits = [header ?? []].flat().map(text => waitOf(text.trim(), now))
  const longest = Math.max(...waits.filter(wait => wait <= LONGEST_HINT_MS))
  return longest > 0 ? longest : undefined
}

function waitOf(text: string, now: number): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000
  // `Date.parse` alone finds a year in almost any text.
  return /^[A-Z][a-z]+, .* GMT$/.test(text) ? Date.parse(text) - now : Number.NaN
}

/** A failed try that may be repeated, and the wait the server asked for. */
export class Retryable extends Error {
  readonly error: HeadraceError
  readonly hintMs: number | undefined

  constructor(error: HeadraceError, hintMs?: number) {
    super(error.message)
    this.error = error
    this.hintMs = hintMs
  }
}
