import { closeSync, existsSync, mkdirSync, openSync, readlinkSync, readSync, realpathSync, rmSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ConfigError, isDiskFull, TransientError } from '../../errors.ts'
import type { WarehouseCall } from '../warehouse.ts'
import { failure } from './failure.ts'

/** Runs statements, up to the first that fails, and returns the rows of the last: numbers of 64 bits and decimals as text. */
export type Query = (...statements: string[]) => Promise<Record<string, unknown>[]>

/**
 * An open database, for the time of one turn. Statements that follow from nothing in between are run together: each answer waits until
 * JavaScript, busy with pages, has time for it.
 */
export interface Turn {
  readonly query: Query
  /** Runs statements, up to the first that fails, and returns how many rows the last one changed. */
  readonly run: (...statements: string[]) => Promise<number>
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
    try {
      await stat(this.#path)
      return true
    } catch (error) {
      // What may not be looked at is not missing.
      if (isMissing(error)) return false
      throw unusable(this.#path, error)
    }
  }

  /**
   * Holds the file while `use` runs. `access` `read` shares it with other readers, `write` creates it when it is not there. The signal
   * ends the wait for the file; what has begun is finished, because a commit that is cut off may have happened or not.
   */
  turn<T>(access: 'read' | 'write', use: (turn: Turn) => Promise<T>, call: WarehouseCall): Promise<T> {
    const before = turns.get(this.#path) ?? Promise.resolve()
    const mine = unlessAborted(before, call.signal).then(() => this.#take(access, use, call))
    // The next turn starts after both whatever became of them: one that was given up has not waited for those before it.
    turns.set(this.#path, Promise.allSettled([before, mine]))
    return mine
  }

  async #take<T>(access: 'read' | 'write', use: (turn: Turn) => Promise<T>, call: WarehouseCall): Promise<T> {
    const { connection, close } = await this.#open(access, call)
    const turn: Turn = {
      query: async (...statements) => (await connection.runAndReadAll(statements.join(';\n'))).getRowObjectsJson(),
      run: async (...statements) => (await connection.run(statements.join(';\n'))).rowsChanged,
    }
    try {
      // Whoever spilled there was killed; nobody else has the file now.
      if (access === 'write') rmSync(this.#options.tempDirectory, { recursive: true, force: true })
      const result = await use(turn)
      // Closing would do it too, but on the thread of JavaScript. What is committed stays when it fails, for want of space: the next turn
      // reads it from the log.
      if (access === 'write') await turn.run(`CHECKPOINT ${CATALOG}`).catch(() => 0)
      return result
    } catch (error) {
      throw failure(this.#path, error)
    } finally {
      close()
    }
  }

  async #open(access: 'read' | 'write', { signal, warn }: WarehouseCall): Promise<Attached> {
    this.#mustBeDatabase()
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
        const holder = holderOf(error) ?? (await this.#creator(wait))
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

  /** A file is empty for a moment while another process creates it; one that stays so is no database. */
  async #creator(wait: number): Promise<string | undefined> {
    const empty = (await stat(this.#path).catch(() => undefined))?.size === 0
    return empty && wait < 5 ? 'another process that creates it' : undefined
  }

  /** DuckDB opens some other files too, and would write into them. */
  #mustBeDatabase(): void {
    try {
      mkdirSync(dirname(this.#path), { recursive: true })
      const start = startOf(this.#path)
      if (start.length === 0 || start.toString('latin1', 8) === MAGIC) return
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

/** The file, while it is held. */
interface Attached {
  readonly connection: DuckDBConnection
  readonly close: () => void
}

async function attach(path: string, access: 'read' | 'write', settings: Record<string, string>): Promise<Attached> {
  // Only now: most commands never open the file, and whoever publishes elsewhere may be where DuckDB does not run.
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(':memory:', settings)
  try {
    const connection = await instance.connect()
    const options = access === 'read' ? 'READ_ONLY' : existsSync(path) ? GROWING : `${GROWING}, ${NEW_FILE}`
    await connection.run(`ATTACH '${path.replaceAll("'", "''")}' AS ${CATALOG} (${options}); USE ${CATALOG}`)
    const close = (): void => {
      connection.closeSync()
      instance.closeSync()
    }
    return { connection, close }
  } catch (error) {
    instance.closeSync()
    throw error
  }
}

/** Two spellings of one path must share their turns, whether or not the file is there yet. */
function realPath(path: string): string {
  const absolute = resolve(path)
  try {
    return realpathSync(absolute)
  } catch (error) {
    if (!isMissing(error)) return absolute
    // Not there yet: what is to be created is where a link points, or in the real folder.
    const folder = dirname(absolute)
    const target = linkTarget(absolute)
    if (target !== undefined) return realPath(resolve(folder, target))
    return folder === absolute ? absolute : join(realPath(folder), basename(absolute))
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The first 12 bytes of a file, or what there is of them. */
function startOf(path: string): Buffer {
  const start = Buffer.alloc(12)
  try {
    const file = openSync(path, 'r')
    try {
      return start.subarray(0, readSync(file, start, 0, start.length, 0))
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (isMissing(error)) return start.subarray(0, 0)
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** The promise, or the reason of the signal as soon as it is aborted. */
async function unlessAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
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
