import { type DuckDBConnection, DuckDBInstance, DuckDBTypeId } from '@duckdb/node-api'
import { MACROS } from './macros.ts'

/** A row as DuckDB gives it: numbers of 64 bits and decimals as text. */
export type DuckRow = Record<string, unknown>

/** One connection: what one job, or one request, speaks through. */
export interface Session {
  readonly connection: DuckDBConnection
  /** Runs one statement and returns its rows. */
  query(sql: string): Promise<DuckRow[]>
  /** Runs one statement and returns how many rows it changed. */
  run(sql: string): Promise<number>
  close(): void
}

/** The database behind the server: one schema per dataset, one table per table. */
export class Duck {
  readonly #instance: DuckDBInstance

  constructor(instance: DuckDBInstance) {
    this.#instance = instance
  }

  static async open(memoryLimit: string, temporary: string): Promise<Duck> {
    const duck = new Duck(
      await DuckDBInstance.create(':memory:', {
        memory_limit: memoryLimit,
        threads: '2',
        temp_directory: temporary,
        default_null_order: 'nulls_first_on_asc_last_on_desc',
      }),
    )
    await duck.use(async session => {
      await session.run("SET GLOBAL TimeZone = 'UTC'")
      await session.run('CREATE SCHEMA _buffer')
      await session.run('CREATE TABLE _buffer._nothing (x INTEGER)')
      for (const macro of MACROS) await session.run(macro)
    })
    return duck
  }

  /** A session of its own; whoever asks closes it. */
  async session(): Promise<Session> {
    const connection = await this.#instance.connect()
    return {
      connection,
      query: async sql => (await connection.runAndReadAll(sql)).getRowObjectsJson(),
      run: async sql => (await connection.run(sql)).rowsChanged,
      close: () => connection.closeSync(),
    }
  }

  /** A session for the time of one piece of work. */
  async use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.session()
    try {
      return await work(session)
    } finally {
      session.close()
    }
  }

  close(): void {
    this.#instance.closeSync()
  }
}

/** The names of DuckDB's types that results can have. */
export const TypeId = DuckDBTypeId
