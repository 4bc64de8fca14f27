/** Bounds of exponential backoff, in milliseconds. */
export interface Backoff {
  readonly baseMs: number
  readonly capMs: number
}

/**
 * How long to wait after the given failed try (1 is the first): full jitter, a uniform choice between nothing and the doubled base, capped.
 */
export function backoff(attempt: number, { baseMs, capMs }: Backoff, random: () => number = Math.random): number {
  return Math.round(random() * Math.min(capMs, baseMs * 2 ** (attempt - 1)))
}

/** The wait a `Retry-After` header asks for, in milliseconds: seconds or an HTTP date. Nothing for none, for garbage, and for the past. */
export function hintedWait(header: string | string[] | undefined, now: number): number | undefined {
  const text = (Array.isArray(header) ? header[0] : header)?.trim()
  if (text === undefined || text === '') return undefined
  const wait = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now
  return wait > 0 ? wait : undefined
}
