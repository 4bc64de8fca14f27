import type { ApiAnswer, ReadWait } from './policy.ts'

/** No quota is longer than a month; a number beyond that is an instant or a mistake. */
const LONGEST_WAIT_MS = 31 * 86_400_000

/** The wait an answer asks for, in milliseconds: of the first reader that finds one. Nothing for none, for garbage, and for the past. */
export function hintedWait(answer: ApiAnswer, readers: readonly ReadWait[], now: number): number | undefined {
  for (const read of readers) {
    const wait = read(answer, now) ?? 0
    if (wait > 0 && wait <= LONGEST_WAIT_MS) return wait
  }
  return undefined
}

/** The values of a header, in the order they came. */
function valuesOf({ headers }: ApiAnswer, name: string): string[] {
  return [headers[name] ?? []].flat().map(text => text.trim())
}

/** A decimal number, or `NaN`: `Number` alone takes the empty text for 0. */
function numberOf(text: string): number {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
}

/** The longest of some waits that a server may mean. */
function longest(waits: readonly number[]): number {
  return Math.max(0, ...waits.filter(wait => wait <= LONGEST_WAIT_MS))
}

/**
 * `Retry-After`, in seconds or as an HTTP date; the longest where it stands more than once. RFC 9110, section 10.2.3; sent by Xero, HubSpot,
 * Klaviyo, GitHub (secondary limits) and most others.
 */
export const retryAfter: ReadWait = (answer, now) =>
  longest(
    valuesOf(answer, 'retry-after').map(text => {
      // `Date.parse` alone finds a year in almost any text.
      return /^[A-Z][a-z]+, .* GMT$/.test(text) ? Date.parse(text) - now : numberOf(text) * 1_000
    }),
  )
