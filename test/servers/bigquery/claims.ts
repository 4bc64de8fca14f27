import { type TableId, tableName } from './catalogue.ts'
import type { Clock } from './clock.ts'
import { ApiError, invalidQuery } from './errors.ts'

/** Who holds a table: one transaction at a time may change or delete its rows. */
interface Claim {
  readonly transaction: string
  /** Resolves when the transaction is over. */
  readonly released: Promise<void>
  readonly release: () => void
}

/**
 * The conflicts of the service, which are those of tables: DuckDB lets two transactions change different rows of one table. Appending and reading
 * conflict with nothing.
 */
export class Claims {
  readonly #held = new Map<string, Claim>()
  /** When each table was changed last by a transaction that committed: a snapshot from before may not change it any more. */
  readonly #changed = new Map<string, number>()
  /** When each thing that is limited was done. */
  readonly #counted = new Map<string, number[]>()
  readonly #clock: Clock
  #turn = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The moment a transaction sees the tables as of; grows. */
  snapshot(): number {
    return ++this.#turn
  }

  /** Claims a table for a transaction; throws when another one holds it or has changed it since the snapshot. */
  claim(table: TableId, transaction: string, snapshot: number, display: string): void {
    const key = tableName(table)
    const held = this.#held.get(key)
    if (held?.transaction === transaction) return
    if (held !== undefined || (this.#changed.get(key) ?? 0) > snapshot) throw conflict(display, transaction)
    this.#hold(key, transaction)
  }

  #hold(key: string, transaction: string): void {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    this.#held.set(key, { transaction, released, release })
  }

  /** The transaction, or the statement outside of one, is over; what it claimed is free. */
  release(transaction: string, changed: boolean): void {
    for (const [key, claim] of this.#held) {
      if (claim.transaction !== transaction) continue
      this.#held.delete(key)
      if (changed) this.#changed.set(key, ++this.#turn)
      claim.release()
    }
  }

  /** Claims a table for DML outside a transaction, which waits for the one that holds it. */
  async acquire(table: TableId, statement: string, signal: AbortSignal): Promise<void> {
    const key = tableName(table)
    for (let held = this.#held.get(key); held !== undefined; held = this.#held.get(key)) {
      await Promise.race([held.released, aborted(signal)])
      signal.throwIfAborted()
    }
    this.#hold(key, statement)
  }

  /** Counts a DML statement, and throws when a table had too many of them in 10 s. */
  countStatement(table: TableId, most: number, display: string): void {
    this.#count(
      `dml ${tableName(table)}`,
      10_000,
      most,
      () =>
        new ApiError('rateLimitExceeded', `Exceeded rate limits: too many table dml insert operations for this table ${display}`),
    )
  }

  /** Counts a load, and throws when a table had too many of them in a day. */
  countLoad(table: TableId, most: number, display: string): void {
    this.#count(
      `load ${tableName(table)}`,
      86_400_000,
      most,
      () =>
        new ApiError(
          'quotaExceeded',
          `Quota exceeded: Your table ${display} exceeded quota for imports or query appends per table`,
        ),
    )
  }

  #count(key: string, period: number, most: number, error: () => ApiError): void {
    const since = this.#clock.now() - period
    const recent = (this.#counted.get(key) ?? []).filter(at => at > since)
    if (recent.length >= most) throw error()
    this.#counted.set(key, [...recent, this.#clock.now()])
  }
}

/** The error of a transaction that met another one. */
export function conflict(display: string, transaction: string): ApiError {
  return invalidQuery(`Transaction is aborted due to concurrent update against table ${display}. Transaction ID: ${transaction}`)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
