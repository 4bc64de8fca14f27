import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { ConfigError, HeadraceError, isDiskFull, TransientError } from '../errors.ts'
import { type LedgerDatabase, type SqlRow, type SqlValue, type Transaction, writes } from './sql/database.ts'
import { MIGRATIONS } from './sql/schema.ts'

/** A file, and what its connections may differ in. */
export interface SqliteDatabaseOptions {
  readonly path: string
  /** The clock, epoch milliseconds. */
  readonly now: () => number
  /** How long a transaction waits for other processes that write, in milliseconds; the event loop stands still meanwhile. Default 10,000. */
  readonly patienceMs?: number
  /** Whether what is committed survives a loss of power. Default true. */
  readonly durable?: boolean
}

/**
 * Ends when everything has ended that this process has asked of SQLite so far. One thing at a time, on whichever connection: one that waits for
 * the lock of another one stops the very event loop in which that one would go on.
 */
let turn: Promise<unknown> = Promise.resolve()

/** The ledger's file: write-ahead log, durable commits, patience with other writers. */
export class SqliteDatabase implements LedgerDatabase {
  readonly #options: SqliteDatabaseOptions
  #connection: Connection | undefined

  constructor(options: SqliteDatabaseOptions) {
    this.#options = options
  }

  async now(): Promise<number> {
    return this.#options.now()
  }

  all(sql: string, ...values: readonly SqlValue[]): Promise<SqlRow[]> {
    return this.#inTurn(async connection => connection.all(sql, values))
  }

  async get(sql: string, ...values: readonly SqlValue[]): Promise<SqlRow | undefined> {
    return (await this.all(sql, ...values))[0]
  }

  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#transaction(work, this.#options.durable ?? true)
  }

  writeBehind<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#transaction(work, false)
  }

  #transaction<T>(work: (tx: Transaction) => Promise<T>, durable: boolean): Promise<T> {
    return this.#inTurn(async connection => {
      connection.setDurable(durable)
      // The write lock at once, so that it cannot fail half way for want of it.
      connection.execute('BEGIN IMMEDIATE')
      try {
        const result = await work(transaction(connection, this.#options.now()))
        connection.execute('COMMIT')
        return result
      } catch (error) {
        connection.rollBack()
        throw error
      }
    })
  }

  async writeUnlessBusy<T>(work: (tx: Transaction) => Promise<T>): Promise<T | 'busy'> {
    try {
      return await this.write(work)
    } catch (error) {
      if (error instanceof HeadraceError && isBusy(error.cause)) return 'busy'
      throw error
    }
  }

  close(): Promise<void> {
    return afterAll(async () => {
      this.#connection?.close()
      this.#connection = undefined
    })
  }

  #inTurn<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return afterAll(async () => {
      this.#connection ??= new Connection(this.#options)
      try {
        return await work(this.#connection)
      } catch (error) {
        throw failure(this.#options.path, error)
      }
    })
  }
}

function afterAll<T>(work: () => Promise<T>): Promise<T> {
  const done = turn.then(work)
  turn = done.catch(() => {})
  return done
}

/** How long others are waited for that open the same file, in milliseconds. */
const OPENING_MS = 10_000

/**
 * Does what others may be doing with the same file. SQLite gives some locks up at once, however patient it was told to be: those in which two would wait for
 * one another, as when both begin to write ahead.
 */
function patiently(work: () => void): void {
  const deadline = performance.now() + OPENING_MS
  for (;;) {
    try {
      work()
      return
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1 + 10 * Math.random())
  }
}

/** One open connection; prepared statements are kept. */
class Connection {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  #durable = true

  constructor({ path, patienceMs = 10_000 }: SqliteDatabaseOptions) {
    try {
      if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true })
      this.#database = new DatabaseSync(path)
    } catch (error) {
      throw unusable(path, `cannot be opened: ${reason(error)}`, error)
    }
    try {
      this.#database.exec(`PRAGMA busy_timeout = ${OPENING_MS}; PRAGMA synchronous = FULL`)
      // Before anything is written: the log would already change a file that is not ours.
      patiently(() => this.#migrate(path))
      patiently(() => this.execute('PRAGMA journal_mode = WAL'))
      this.execute(`PRAGMA busy_timeout = ${patienceMs}`)
    } catch (error) {
      this.#database.close()
      throw error instanceof HeadraceError || isDiskFull(error)
        ? error
        : unusable(path, `cannot be opened: ${reason(error)}`, error)
    }
  }

  #migrate(path: string): void {
    this.execute('BEGIN IMMEDIATE')
    try {
      const version = Number(this.all('PRAGMA user_version')[0]?.user_version)
      if (version > MIGRATIONS.length) {
        throw new ConfigError('LEDGER_UNUSABLE', {
          message: `the ledger ${path} is of version ${version}, this headrace knows ${MIGRATIONS.length}`,
          hint: 'A newer headrace has written it. Use that one; nothing was changed.',
        })
      }
      if (version === 0 && this.all('SELECT name FROM sqlite_schema').length > 0) {
        throw unusable(path, 'is the database of another program')
      }
      for (const step of MIGRATIONS.slice(version)) this.execute(step)
      this.execute(`PRAGMA user_version = ${MIGRATIONS.length}`)
      this.execute('COMMIT')
    } catch (error) {
      this.rollBack()
      throw error
    }
  }

  /** Whether the transactions from now on wait for the disk; the log is synced as a whole, so one that does takes those before it along. */
  setDurable(durable: boolean): void {
    if (durable === this.#durable) return
    this.#database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
    this.#durable = durable
  }

  /** Runs statements that take no values. */
  execute(sql: string): void {
    this.#database.exec(sql)
  }

  rollBack(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
  }

  /** Runs a statement; returns how many rows it changed. */
  run(sql: string, values: readonly SqlValue[]): number {
    return Number(this.#prepared(sql).run(...values).changes)
  }

  /** All rows of a query. */
  all(sql: string, values: readonly SqlValue[] = []): SqlRow[] {
    return this.#prepared(sql).all(...values)
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
}

function transaction(connection: Connection, now: number): Transaction {
  const run: Transaction['run'] = async (sql, ...values) => connection.run(sql, values)
  return {
    now,
    // It is over before anything else happens in this process.
    age: () => 0,
    all: async (sql, ...values) => connection.all(sql, values),
    get: async (sql, ...values) => connection.all(sql, values)[0],
    run,
    ...writes(run),
  }
}

function unusable(path: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError('LEDGER_UNUSABLE', {
    message: `the ledger ${path} ${why}`,
    hint: 'Check the path and the permissions; it must be on a local disk, next to every process that uses it. Nothing was read or written.',
    cause,
  })
}

function failure(path: string, error: unknown): unknown {
  if (error instanceof HeadraceError) return error
  return new TransientError(isDiskFull(error) ? 'DISK_FULL' : 'LEDGER_FAILED', {
    message: `the ledger ${path} cannot be used: ${reason(error)}`,
    hint: 'What is published stays published; chunks under way are read again. Free space or mend the disk, and run again.',
    cause: error,
  })
}

/** Whether SQLite gave up waiting for another writer. */
function isBusy(error: unknown): boolean {
  const SQLITE_BUSY = 5
  return error instanceof Error && 'errcode' in error && Number(error.errcode) % 256 === SQLITE_BUSY
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
