import { randomUUID } from 'node:crypto'
import type { TableId } from './catalogue.ts'
import type { Claims } from './claims.ts'
import type { Session } from './duck.ts'
import { ApiError, asApiError, invalidQuery } from './errors.ts'

/** A transaction of a script: one of DuckDB, and the tables that nobody else may change meanwhile. */
export class Transaction {
  readonly id = randomUUID()
  readonly #session: Session
  readonly #claims: Claims
  readonly #snapshot: number
  #ended = false

  private constructor(session: Session, claims: Claims) {
    this.#session = session
    this.#claims = claims
    this.#snapshot = claims.snapshot()
  }

  static async begin(session: Session, claims: Claims): Promise<Transaction> {
    const transaction = new Transaction(session, claims)
    await session.run('BEGIN')
    // DuckDB takes its snapshot at the first read.
    await session.run('FROM _buffer._nothing')
    return transaction
  }

  /** Claims a table; throws when another transaction was there first. */
  claim(table: TableId, display: string): void {
    this.#claims.claim(table, this.id, this.#snapshot, display)
  }

  /** Ends it, for good or as if it had never been. */
  async end(commit: boolean): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    try {
      await this.#session.run(commit ? 'COMMIT' : 'ROLLBACK')
      this.#claims.release(this.id, commit)
    } catch (error) {
      this.#claims.release(this.id, false)
      if (commit) throw error
    }
  }
}

/** What went wrong in DuckDB, in the words of the service as far as they are known. */
export function failureOf(thrown: unknown): ApiError {
  if (thrown instanceof ApiError || !(thrown instanceof Error)) return asApiError(thrown)
  const { message } = thrown
  const required = /NOT NULL constraint failed: (?:\S+\.)?(\S+)/.exec(message)?.[1]
  if (required !== undefined) return invalidQuery(`Required field ${required} cannot be null`)
  if (/More than one row returned by a subquery/.test(message))
    return invalidQuery('Scalar subquery produced more than one element')
  return invalidQuery(message)
}
