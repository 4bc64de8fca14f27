import { DatabaseError } from 'pg'
import { ConfigError, HeadraceError, TransientError, withoutCredentials } from '../errors.ts'

/**
 * States of SQL that say nothing of what was asked, only of the moment: broken connections (08), too many of them (53300), a lock or an answer that
 * took too long (55P03, 57014, 25P03), a server that stops or starts (57P01 to 57P03), or that is a replica just now (25006), and
 * transactions in each other's way (40001, 40P01). From PostgreSQL's documentation, appendix A.
 */
const PASSING_STATES = /^(?:08...|53300|55P03|57014|25P03|57P0[123]|25006|40001|40P01)$/

/** What the client of PostgreSQL says, without a code, of a connection that is not there any more, or not yet. */
const PASSING_MESSAGES =
  /^(?:Connection terminated|Query read timeout|timeout e|Client (?:was closed|has encountered)|Cannot use a pool)/

/** Whether the same may work in a moment. */
export function isPassing(error: unknown): boolean {
  if (error instanceof HeadraceError || !(error instanceof Error)) return false
  if (error instanceof DatabaseError) return PASSING_STATES.test(error.code ?? '')
  return ('code' in error && /^E[A-Z_]+$/.test(String(error.code))) || PASSING_MESSAGES.test(error.message)
}

/** Whether it gave up waiting for another writer. */
export function isBusy(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '55P03'
}

/** The ledger cannot be opened at all. */
export function unusable(name: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError('LEDGER_UNUSABLE', {
    message: `the ledger ${name} ${why}`,
    hint: 'Check the address, the database, the user and what it may do. Nothing was read or written.',
    cause,
  })
}

/** What an error means that did not pass. */
export function failure(name: string, error: unknown): unknown {
  if (error instanceof HeadraceError) return error
  const full = error instanceof DatabaseError && error.code === '53100'
  return new TransientError(full ? 'DISK_FULL' : 'LEDGER_FAILED', {
    message: `the ledger ${name} cannot be used: ${reason(error)}`,
    hint: 'What is published stays published; chunks under way are read again. See that PostgreSQL runs and can be reached, and run again.',
    cause: error,
  })
}

/** An error in words. A refused connection to a name with two addresses has a code and no message. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return withoutCredentials(String(error))
  return withoutCredentials(error.message || ('code' in error ? String(error.code) : error.name))
}
