/** What is stored in a column, but for whole numbers, which may come back as bigint or as text. */
export type SqlValue = string | number | null

/** A row as the database gives it. */
export type SqlRow = Readonly<Record<string, unknown>>

/** Columns and what they hold. */
export type SqlColumns = Readonly<Record<string, SqlValue>>

/** Asks the database. The SQL is what SQLite and PostgreSQL have in common; each `?` stands for the next value. */
export interface Queries {
  /** All rows of a query. */
  all(sql: string, ...values: readonly SqlValue[]): Promise<SqlRow[]>
  /** The first row of a query. */
  get(sql: string, ...values: readonly SqlValue[]): Promise<SqlRow | undefined>
}

/** One write transaction. Nobody else writes while it lasts, so what it reads stays true until it ends. */
export interface Transaction extends Queries {
  /** When it began, in epoch milliseconds: not before anything that an earlier transaction has written. */
  readonly now: number
  /** How many milliseconds have passed since then; also when it is over. */
  age(): number
  /** Runs a statement; returns how many rows it changed. */
  run(sql: string, ...values: readonly SqlValue[]): Promise<number>
  /** Inserts rows that have the same columns; with `key`, each replaces the row that has the same values there. */
  insert(table: string, rows: readonly SqlColumns[], key?: readonly string[]): Promise<void>
  /** Sets columns of the rows with the given values; returns how many there were. */
  update(table: string, row: SqlColumns, where: SqlColumns): Promise<number>
}

/**
 * The database under a ledger, opened when it is first needed, so that a configuration can be loaded without touching anything. Outside a
 * transaction one sees what is committed. Every failure becomes an error of headrace; nothing on this road is only logged.
 */
export interface LedgerDatabase extends Queries {
  /** Now, in epoch milliseconds, by the clock that all processes share. */
  now(): Promise<number>
  /** One write transaction: all of it or nothing. It must wait for nothing but itself. */
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /**
   * The same, of which a loss of power may leave nothing until the next `write` has ended. Only for what may be forgotten once every process that knows of
   * it has died as well: it spares the wait for the disk.
   */
  writeBehind<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** The same as `write`, unless another writer is at it for longer than the patience of the database. */
  writeUnlessBusy<T>(work: (tx: Transaction) => Promise<T>): Promise<T | 'busy'>
  close(): Promise<void>
}

/** What the parts of a ledger share. */
export interface LedgerContext {
  readonly db: LedgerDatabase
  /** Names this process among others. */
  readonly owner: string
}

/** How many rows one statement inserts: few sizes, because every text of SQL is prepared once and kept. */
const ROWS_AT_ONCE = [256, 16, 1]

/** The parts of a transaction that follow from its running statements. */
export function writes(run: Transaction['run']): Pick<Transaction, 'insert' | 'update'> {
  return {
    async insert(table, rows, key) {
      const columns = Object.keys(rows[0] ?? {})
      const update = columns.filter(column => key?.includes(column) === false).map(column => `${column} = excluded.${column}`)
      const conflict = key === undefined ? '' : ` ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${update.join(', ')}`
      const into = `INSERT INTO ${table} (${columns.join(', ')}) VALUES `
      const row = `(${columns.map(() => '?').join(', ')})`
      let from = 0
      for (const size of ROWS_AT_ONCE) {
        for (; from + size <= rows.length; from += size) {
          const values = rows.slice(from, from + size).flatMap(columns => Object.values(columns))
          await run(into + Array(size).fill(row).join(', ') + conflict, ...values)
        }
      }
    },

    update(table, row, where) {
      const set = Object.keys(row).map(column => `${column} = ?`)
      const match = Object.keys(where).map(column => `${column} = ?`)
      return run(
        `UPDATE ${table} SET ${set.join(', ')} WHERE ${match.join(' AND ')}`,
        ...Object.values(row),
        ...Object.values(where),
      )
    },
  }
}
