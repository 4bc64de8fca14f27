import { existsSync, realpathSync } from 'node:fs'
import { mkdir, open, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import { ConfigError, isDiskFull, TransientError } from '../../errors.ts'
import type { WarehouseCall } from '../warehouse.ts'

/** Runs one statement and returns its rows, numbers of 64 bits and decimals as text. */
export type Query = (sql: string) => Promise<Record<string, unknown>[]>

/** An open database, for the time of one turn. */
export interface Turn {
  readonly query: Query
  /** Runs one statement and returns how many rows it changed. */
  readonly run: (sql: string) => Promise<number>
}

/** How a database file is opened. */
export interface DatabaseOptions {
  readonly path: string
  /** DuckDB's `memory_limit`, for example `256MB`. */
  readonly memoryLimit: string
  readonly threads: number
  /** Where DuckDB spills what does not fit. */
  readonly tempDirectory: string
  /** How long to wait for another process to let go of the file, in milliseconds. */
  readonly patienceMs: number
}

/** Turns waiting for each file in this process; DuckDB would silently hand out an independent second database. */
const turns = new Map<string, Promise<unknown>>()

const MAGIC = 'DUCK'

/**
 * A DuckDB file that is held only for a turn: other processes (a daemon, a backfill, a person with the DuckDB shell) have theirs in
 * between. Turns of one process follow one another; a turn waits while another process holds the file.
 */
export class Database {
  readonly #options: DatabaseOptions
  readonly #path: string

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.#path = realPath(options.path)
  }

  /** Whether the file is there yet. */
  async exists(): Promise<boolean> {
    return (await stat(this.#path).catch(() => undefined)) !== undefined
  }

  /**
   * Holds the file while `use` runs. `access` `read` shares it with other readers, `write` creates it when it is not there. The signal
   * ends the wait for the file; what has begun is finished, because a commit that is cut off may have happened or not.
   */
  turn<T>(access: 'read' | 'write', use: (turn: Turn) => Promise<T>, call: WarehouseCall): Promise<T> {
    const before = turns.get(this.#path) ?? Promise.resolve()
    const mine = before.then(async () => {
      call.signal.throwIfAborted()
      const instance = await this.#open(access, call)
      try {
        return await withConnection(instance, async turn => {
          const result = await use(turn)
          // Closing would do it too, but on the thread of JavaScript.
          if (access === 'write') await turn.run(`CHECKPOINT ${CATALOG}`)
          return result
        })
      } finally {
        instance.closeSync()
      }
    })
    // The next turn starts after this one whatever became of it; whoever asked for this one sees its error.
    turns.set(
      this.#path,
      mine.catch(() => undefined),
    )
    return mine
  }

  async #open(access: 'read' | 'write', { signal, warn }: WarehouseCall): Promise<DuckDBInstance> {
    await this.#mustBeDatabase()
    const { memoryLimit, threads, tempDirectory, patienceMs } = this.#options
    const deadline = Date.now() + patienceMs
    for (let wait = 0; ; wait++) {
      try {
        return await attach(this.#path, access, {
          memory_limit: memoryLimit,
          threads: String(threads),
          temp_directory: tempDirectory,
          preserve_insertion_order: 'false',
        })
      } catch (error) {
        const holder = holderOf(error)
        if (holder === undefined) throw unusable(this.#path, error)
        if (Date.now() >= deadline) {
          throw new TransientError('WAREHOUSE_BUSY', {
            message: `${this.#path} was held by ${holder} for ${Math.round(patienceMs / 1000)} s`,
            hint: 'Nothing was published. Close the other program, or wait for it, and run again.',
            cause: error,
          })
        }
        if (wait === 0) warn('WAREHOUSE_WAITING', `${this.#path} is held by ${holder}; waiting for it`)
        await sleep(20 + Math.random() * Math.min(500, 40 * 2 ** wait), undefined, { signal })
      }
    }
  }

  /** DuckDB opens some other files too, and would write into them. */
  async #mustBeDatabase(): Promise<void> {
    try {
      await mkdir(dirname(this.#path), { recursive: true })
      const file = await open(this.#path, 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      })
      if (file === undefined) return
      const { buffer, bytesRead } = await file.read(Buffer.alloc(12), 0, 12, 0).finally(() => file.close())
      if (bytesRead === 0 || buffer.toString('latin1', 8, 12) === MAGIC) return
    } catch (error) {
      throw unusable(this.#path, error)
    }
    throw unusable(this.#path, new Error('it is not a DuckDB database'))
  }
}

/**
 * The file is attached under a fixed name: opened directly, DuckDB would name it after the file, and a file called `ads.duckdb` would make every
 * `ads.table` ambiguous.
 */
export const CATALOG = 'db'

/** Commits are smaller than DuckDB's usual row groups, and each would rewrite the last one; groups of this size are written once. */
const GROWING = 'ROW_GROUP_SIZE 30720'

/** The oldest format whose text compression is quick to write: DuckDB 1.3, of May 2025, reads it. */
const NEW_FILE = "STORAGE_VERSION 'v1.3.0'"

async function attach(path: string, access: 'read' | 'write', settings: Record<string, string>): Promise<DuckDBInstance> {
  const instance = await DuckDBInstance.create(':memory:', settings)
  try {
    const connection = await instance.connect()
    const options = access === 'read' ? 'READ_ONLY' : existsSync(path) ? GROWING : `${GROWING}, ${NEW_FILE}`
    await connection.run(`ATTACH '${path.replaceAll("'", "''")}' AS ${CATALOG} (${options})`)
    connection.closeSync()
    return instance
  } catch (error) {
    instance.closeSync()
    throw error
  }
}

/** Two spellings of one path must share their turns, whether or not the file is there yet. */
function realPath(path: string): string {
  const absolute = resolve(path)
  for (const known of [absolute, dirname(absolute)]) {
    try {
      return join(realpathSync(known), known === absolute ? '' : basename(absolute))
    } catch {
      // Not there yet.
    }
  }
  return absolute
}

async function withConnection<T>(instance: DuckDBInstance, use: (turn: Turn) => Promise<T>): Promise<T> {
  const connection = await instance.connect()
  try {
    await connection.run(`USE ${CATALOG}`)
    return await use({
      query: async sql => (await connection.runAndReadAll(sql)).getRowObjectsJson(),
      run: async sql => (await connection.run(sql)).rowsChanged,
    })
  } finally {
    connection.closeSync()
  }
}

/** Who holds the file, if that is why it could not be opened. */
function holderOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !/could not set lock|conflicting lock/i.test(error.message)) return undefined
  return /held in (.+? \(PID \d+\))/.exec(error.message)?.[1] ?? 'another process'
}

function unusable(path: string, error: unknown): Error {
  if (isDiskFull(error)) {
    return new TransientError('DISK_FULL', {
      message: `no space left to open ${path}`,
      hint: 'Free space and run again.',
      cause: error,
    })
  }
  return new ConfigError('WAREHOUSE_UNUSABLE', {
    message: `${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}`,
    hint: 'Check the path and the permissions of the warehouse in the configuration. Nothing was written.',
    cause: error,
  })
}
