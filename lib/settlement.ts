import { halvesOf } from './chunk.ts'
import { ERRORS, type ErrorCode, type HeadraceError } from './errors.ts'
import { backoff } from './http/retry.ts'
import type { Claim, Settlement } from './ledger/ledger.ts'
import type { Options } from './options.ts'

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
])

/**
 * What follows from an error: held for a person, parked, another try after a pause or in two halves, or failed when the tries are used up.
 */
export function settlementOf(
  { code, message, hint, notBefore }: HeadraceError,
  { attempt, chunk }: Claim,
  { attempts, retryBaseSeconds, retryCapSeconds }: Options,
  now: number,
): Settlement {
  const problem = { code, message, hint: hint ?? null }
  const certain = ROLLED_BACK.has(code)
  if (code === 'ABORTED' || code === 'LEASE_LOST') return { state: 'pending', problem, certain }
  if (ERRORS[code].kind !== 'transient') return { state: 'held', problem, certain }
  if (notBefore !== undefined) return { state: 'parked', problem, certain, notBefore }
  const parts = code === 'WINDOW_TOO_LARGE' ? halvesOf(chunk.window) : []
  if (parts.length > 0) return { state: 'pending', problem, certain, parts }
  if (attempt >= attempts) return { state: 'failed', problem, certain }
  const pause = backoff(attempt, { baseMs: retryBaseSeconds * 1_000, capMs: retryCapSeconds * 1_000 })
  return { state: 'pending', problem, certain, notBefore: now + pause }
}
