import { halvesOf } from '../chunk.ts'
import { ERRORS, type ErrorCode, type HeadraceError } from '../errors.ts'
import { backoff } from '../http/retry.ts'
import type { Claim, Settlement } from '../ledger/ledger.ts'
import type { Options } from '../options.ts'

/**
 * Errors that come with a transaction that is certainly rolled back, or with none, as those of the guards do; after any other the table may
 * hold either.
 */
const ROLLED_BACK: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'FENCED',
  'KEY_DUPLICATED',
  'COUNT_DIVERGED',
  'STAGED_UNREADABLE',
  'WAREHOUSE_BUSY',
  'WAREHOUSE_CEILING',
  'REJECTS_TOO_MANY',
  'VOLUME_DROP',
  'EMPTY_CHUNK',
  'SOURCE_DIVERGED',
])

/** First pause before a chunk is tried again although its tries are used up; it doubles, up to the longest. */
const LATER_MS = 300_000
const LATEST_MS = 3_600_000

/** How often it is tried again like that: for some ten hours. */
const TRIES_LATER = 12

/**
 * What follows from an error: held for a person, parked, another try after a pause or in two halves, or failed when the tries are used up. Who is
 * `persistent` tries for some hours more, in long pauses, for errors that may pass: nobody may be there to run it again.
 */
export function settlementOf(
  { code, message, hint, notBefore }: HeadraceError,
  { attempt, chunk }: Claim,
  { attempts, retryBaseSeconds, retryCapSeconds }: Options,
  { now, persistent }: { readonly now: number; readonly persistent: boolean },
): Settlement {
  const problem = { code, message, hint: hint ?? null }
  const certain = ROLLED_BACK.has(code)
  if (code === 'ABORTED' || code === 'LEASE_LOST') return { state: 'pending', problem, certain }
  if (ERRORS[code].kind !== 'transient') return { state: 'held', problem, certain }
  if (notBefore !== undefined) return { state: 'parked', problem, certain, notBefore }
  const parts = code === 'WINDOW_TOO_LARGE' ? halvesOf(chunk.window) : []
  if (parts.length > 0) return { state: 'pending', problem, certain, parts }
  const late = attempt - attempts
  if (late >= (persistent ? TRIES_LATER : 0)) return { state: 'failed', problem, certain }
  if (late >= 0) return { state: 'parked', problem, certain, notBefore: now + Math.min(LATEST_MS, LATER_MS * 2 ** late) }
  const pause = backoff(attempt, { baseMs: retryBaseSeconds * 1_000, capMs: retryCapSeconds * 1_000 })
  return { state: 'pending', problem, certain, notBefore: now + pause }
}
