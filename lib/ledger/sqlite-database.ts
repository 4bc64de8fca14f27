import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { ConfigError, HeadraceError, isDiskFull, TransientError } from '../errors.ts'
import { MIGRATIONS } from './sqlite-schema.ts'

/** A row as SQLite gives it. */
export type SqlRow = Readonly<Record<string, unknown>>

/** What a connection may differ in from others. */
export interface ConnectionOptions {
  /** How long a transaction waits for other writers, in milliseconds; the event loop stands still meanwhile. Default 10,000. */
  readonly patienceMs?: number
  /** Whether what is committed survives a loss of power. Default true. */
  readonly durable?: boolean
}

/**
 * The ledger's file: write-ahead log, durable commits, patience with other writers, prepared statements kept. Every failure becomes an error
 * of headrace; nothing on this road is only logged.
 */
export class LedgerDatabase {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(path: string, { patienceMs = 10_000, durable = true }: ConnectionOptions = {}) {
    this.#path = path
    try {
      if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true })
      this.#database = new DatabaseSync(path)
    } catch (error) {
      throw this.#unusable(`cannot be opened: ${reason(error)}`, error)
    }
    try {
      this.#database.exec('PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL')
      // Before anything is written: the log would already change a file that is not ours.
      this.#migrate()
      this.#database.exec('PRAGMA journal_mode = WAL')
      this.#database.exec(`PRAGMA busy_timeout = ${patienceMs}; PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
    } catch (error) {
      this.#database.close()
      if (error instanceof HeadraceError && error.code !== 'LEDGER_FAILED') throw error
      const cause = error instanceof HeadraceError ? error.cause : error
      throw this.#unusable(`cannot be opened: ${reason(cause)}`, cause)
    }
  }

  #migrate(): void {
    this.write(() => {
      const version = Number(this.get('PRAGMA user_version')?.user_version)
      if (version > MIGRATIONS.length) {
        throw new ConfigError('LEDGER_UNUSABLE', {
          message: `the ledger ${this.#path} is of version ${version}, this headrace knows ${MIGRATIONS.length}`,
          hint: 'A newer headrace has written it. Use that one; nothing was changed.',
        })
      }
      if (version === 0 && this.get('SELECT name FROM sqlite_schema') !== undefined) {
        throw this.#unusable('is the database of another program')
      }
      for (const step of MIGRATIONS.slice(version)) this.#database.exec(step)
      this.#database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`)
    })
  }

  #unusable(why: string, cause?: unknown): ConfigError {
    return new ConfigError('LEDGER_UNUSABLE', {
      message: `the ledger ${this.#path} ${why}`,
      hint: 'Check the path and the permissions; it must be on a local disk, next to every process that uses it. Nothing was read or written.',
      cause,
    })
  }

  /** One write transaction; it takes the write lock at once, so that it cannot fail half way for want of it. */
  write<T>(work: () => T): T {
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        this.#database.exec('COMMIT')
        return result
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
        throw error
      }
    } catch (error) {
      throw this.#failure(error)
    }
  }

  /** The same, unless another writer is at it for longer than the patience of the connection. */
  writeUnlessBusy<T>(work: () => T): T | 'busy' {
    try {
      return this.write(work)
    } catch (error) {
      if (error instanceof HeadraceError && isBusy(error.cause)) return 'busy'
      throw error
    }
  }

  /** Runs a statement; returns how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...values).changes)
  }

  /** Inserts one row; with `key`, replaces the row that has the same values there. */
  insert(table: string, row: Readonly<Record<string, SQLInputValue>>, key?: readonly string[]): void {
    const columns = Object.keys(row)
    const update = columns.filter(column => key?.includes(column) === false).map(column => `${column} = excluded.${column}`)
    const conflict = key === undefined ? '' : ` ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${update.join(', ')}`
    this.run(
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})${conflict}`,
      ...Object.values(row),
    )
  }

  /** Sets columns of the rows with the given values; returns how many there were. */
  update(table: string, row: Readonly<Record<string, SQLInputValue>>, where: Readonly<Record<string, SQLInputValue>>): number {
    const set = Object.keys(row).map(column => `${column} = ?`)
    const match = Object.keys(where).map(column => `${column} = ?`)
    return this.run(
      `UPDATE ${table} SET ${set.join(', ')} WHERE ${match.join(' AND ')}`,
      ...Object.values(row),
      ...Object.values(where),
    )
  }

  /** All rows of a query. */
  all(sql: string, ...values: SQLInputValue[]): SqlRow[] {
    try {
      return this.#prepared(sql).all(...values)
    } catch (error) {
      throw this.#failure(error)
    }
  }

  /** The first row of a query. */
  get(sql: string, ...values: SQLInputValue[]): SqlRow | undefined {
    return this.all(sql, ...values)[0]
  }

  close(): void {
    this.#database.close()
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      // Otherwise it throws at the first number past 2^53, and one absurd count would make its chunk unreadable for ever.
      statement.setReadBigInts(true)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #failure(error: unknown): unknown {
    if (error instanceof HeadraceError) return error
    const code = isDiskFull(error) ? 'DISK_FULL' : 'LEDGER_FAILED'
    return new TransientError(code, {
      message: `the ledger ${this.#path} cannot be used: ${reason(error)}`,
      hint: 'What is published stays published; chunks under way are read again. Free space or mend the disk, and run again.',
      cause: error,
    })
  }
}

/** Whether SQLite gave up waiting for another writer. */
function isBusy(error: unknown): boolean {
  const SQLITE_BUSY = 5
  return error instanceof Error && 'errcode' in error && Number(error.errcode) % 256 === SQLITE_BUSY
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
