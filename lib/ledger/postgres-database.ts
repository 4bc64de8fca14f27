import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Pool, type PoolClient } from 'pg'
import { HeadraceError } from '../errors.ts'
import { failure, isBusy, isPassing, reason, unusable } from './postgres-failure.ts'
import { migrate } from './postgres-schema.ts'
import { type LedgerDatabase, type SqlRow, type SqlValue, type Transaction, writes } from './sql/database.ts'

/** A schema of a database, and how patient its connections are. Durations in milliseconds. */
export interface PostgresDatabaseOptions {
  readonly url: string
  /** The database, as errors name it. */
  readonly name: string
  readonly schema: string
  /** The clock, epoch milliseconds. Default that of the database, which is the same for all hosts. */
  readonly now?: (() => number) | undefined
  /** Names the lock that every write transaction takes first. */
  readonly lock: string
  /** How long a transaction waits for it. */
  readonly lockMs: number
  /** How long connecting may take, and how long one statement. */
  readonly connectMs: number
  readonly statementMs: number
  /** How long it is tried again, where the failure is one of the moment. */
  readonly patienceMs: number
  /** Whether what is committed survives a crash of the database. */
  readonly durable: boolean
}

/** How long a ledger is tried to be opened: long enough for a database that starts at the same time. */
const OPENING_MS = 10_000

/** How long a process that stands still in the middle of a transaction keeps everybody else from writing. */
const STANDSTILL_MS = 10_000

/** How long it is no more than busy where it does not answer at all. */
const AWAY_MS = 60_000

/** Pauses between tries grow to this. */
const LONGEST_PAUSE_MS = 2_000

/** Connections of one process: one writes, the others read. */
const CONNECTIONS = 3

const CLOCK = 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000) AS now'

/**
 * A ledger in a schema of PostgreSQL. To mean exactly what SQLite's single writer means, every write transaction first takes one lock, so that what it has
 * counted stays true. Where a connection breaks, the server restarts or hangs, whatever it was is tried again for a while, and done once.
 */
export class PostgresDatabase implements LedgerDatabase {
  readonly #options: PostgresDatabaseOptions
  readonly #begin: string
  /** Names this object in the table of writers. */
  readonly #writer = randomUUID()
  #pool: Promise<Pool> | undefined
  /** Ends when everything has ended that was to be written so far. */
  #turn: Promise<unknown> = Promise.resolve()
  #answeredAt = performance.now()

  constructor(options: PostgresDatabaseOptions) {
    this.#options = options
    const commit = `SET LOCAL synchronous_commit = ${options.durable ? 'on' : 'off'}`
    this.#begin = `BEGIN ISOLATION LEVEL READ COMMITTED; ${commit}; ${lockOf(options)}; ${CLOCK}`
  }

  async now(): Promise<number> {
    return this.#options.now?.() ?? Number((await this.get(CLOCK))?.now)
  }

  all(sql: string, ...values: readonly SqlValue[]): Promise<SqlRow[]> {
    return this.#persistently(this.#deadline(), client => ask(client, sql, values))
  }

  async get(sql: string, ...values: readonly SqlValue[]): Promise<SqlRow | undefined> {
    return (await this.all(sql, ...values))[0]
  }

  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const deadline = this.#deadline()
    const done = this.#turn.then(() => this.#transaction(deadline, work))
    this.#turn = done.catch(() => {})
    return done
  }

  /** Nothing less than `write`: processes on other hosts outlive a crash of the server, and would know what it has forgotten. */
  writeBehind<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.write(work)
  }

  async writeUnlessBusy<T>(work: (tx: Transaction) => Promise<T>): Promise<T | 'busy'> {
    try {
      const result = await this.write(work)
      this.#answeredAt = performance.now()
      return result
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      if (isBusy(cause) || (isPassing(cause) && performance.now() - this.#answeredAt < AWAY_MS)) return 'busy'
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#turn
    const pool = await this.#pool?.catch(() => undefined)
    this.#pool = undefined
    await pool?.end()
  }

  #deadline(): number {
    return performance.now() + this.#options.patienceMs
  }

  #transaction<T>(deadline: number, work: (tx: Transaction) => Promise<T>): Promise<T> {
    /** A try whose COMMIT was sent and that nobody has answered. */
    let unanswered: { readonly token: string; readonly result: T } | undefined
    return this.#persistently(deadline, async client => {
      try {
        // The client gives a list of answers to several statements.
        const began = [await client.query(this.#begin)].flat().at(-1)
        if (unanswered !== undefined) {
          // With the lock in hand: until then the commit may still be under way.
          const [writer] = await ask(client, 'SELECT last FROM writer WHERE id = ?', [this.#writer])
          if (writer?.last === unanswered.token) {
            await client.query('ROLLBACK')
            return unanswered.result
          }
          unanswered = undefined
        }
        const tx = new PostgresTransaction(client, this.#options.now?.() ?? Number(began?.rows[0]?.now))
        const result = await work(tx)
        if (!tx.hasWritten) {
          await client.query('COMMIT')
          return result
        }
        const token = randomUUID()
        unanswered = { token, result }
        await client.query(
          `INSERT INTO writer VALUES ('${this.#writer}', '${token}', now()) ` +
            'ON CONFLICT (id) DO UPDATE SET last = excluded.last, at = excluded.at; COMMIT',
        )
        return result
      } catch (error) {
        if (!isBroken(error)) await client.query('ROLLBACK')
        throw error
      }
    })
  }

  /** Does something with a connection; with another one, until the deadline, where the failure is one of the moment. */
  #persistently<T>(deadline: number, work: (client: PoolClient) => Promise<T>): Promise<T> {
    return again(
      deadline,
      async () => connected(await this.#opened(), work),
      error => failure(this.#options.name, error),
    )
  }

  #opened(): Promise<Pool> {
    this.#pool ??= this.#open().catch(error => {
      this.#pool = undefined
      throw error
    })
    return this.#pool
  }

  async #open(): Promise<Pool> {
    const { url, schema, lockMs, connectMs, statementMs, patienceMs, name } = this.#options
    const limits = { lock_timeout: lockMs, statement_timeout: statementMs, idle_in_transaction_session_timeout: STANDSTILL_MS }
    const settings = Object.entries({ search_path: schema, ...limits }).map(([setting, value]) => `SET ${setting} = ${value}`)
    const pool = new Pool({
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: connectMs,
      // Longer than the server's own limit, for a server that does not even say that.
      query_timeout: statementMs + connectMs,
      keepAlive: true,
      // Whoever forgets to close a ledger is not kept alive by it.
      allowExitOnIdle: true,
      application_name: 'headrace',
      onConnect: async client => {
        // What is wrong with a connection is said by what is asked of it next.
        client.on('error', () => {})
        await client.query(settings.join('; '))
      },
    })
    pool.on('error', () => {})
    try {
      await again(
        performance.now() + Math.min(OPENING_MS, patienceMs),
        () =>
          connected(pool, async client => {
            await migrate(client, { name, schema, lock: lockOf({ schema, lock: 'schema' }) })
            await client.query("DELETE FROM writer WHERE at < now() - interval '1 day'")
          }),
        error => (error instanceof HeadraceError ? error : unusable(name, `cannot be opened: ${reason(error)}`, error)),
      )
      return pool
    } catch (error) {
      await pool.end()
      throw error
    }
  }
}

class PostgresTransaction implements Transaction {
  readonly now: number
  readonly insert: Transaction['insert']
  readonly update: Transaction['update']
  /** Whether there is anything to commit. */
  hasWritten = false
  readonly #begunAt = performance.now()
  readonly #client: PoolClient

  constructor(client: PoolClient, now: number) {
    this.#client = client
    this.now = now
    const { insert, update } = writes((sql, ...values) => this.run(sql, ...values))
    this.insert = insert
    this.update = update
  }

  age(): number {
    return performance.now() - this.#begunAt
  }

  all(sql: string, ...values: readonly SqlValue[]): Promise<SqlRow[]> {
    return ask(this.#client, sql, values)
  }

  async get(sql: string, ...values: readonly SqlValue[]): Promise<SqlRow | undefined> {
    return (await this.all(sql, ...values))[0]
  }

  async run(sql: string, ...values: readonly SqlValue[]): Promise<number> {
    const { rowCount } = await this.#client.query(numbered(sql), values.map(storable))
    if (rowCount !== null && rowCount > 0) this.hasWritten = true
    return rowCount ?? 0
  }
}

/** Waits for everybody who has the same lock. */
function lockOf({ schema, lock }: Pick<PostgresDatabaseOptions, 'schema' | 'lock'>): string {
  return `SELECT pg_advisory_xact_lock(hashtextextended('headrace ${schema} ${lock}', 0))`
}

async function ask(client: PoolClient, sql: string, values: readonly SqlValue[]): Promise<SqlRow[]> {
  return (await client.query(numbered(sql), values.map(storable))).rows
}

/** The same statement with numbers for its values. */
function numbered(sql: string): string {
  let count = 0
  return sql.replaceAll('?', () => `$${++count}`)
}

/** PostgreSQL keeps every character in a text but this one. */
function storable(value: SqlValue): SqlValue {
  return typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : value
}

/** Whether nothing more can be done with a connection. */
function isBroken(error: unknown): boolean {
  return isPassing(error) && !isBusy(error)
}

/** Does something with a connection of its own. */
async function connected<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    const result = await work(client)
    client.release()
    return result
  } catch (error) {
    client.release(isBroken(error))
    throw error
  }
}

/** Tries something until the deadline, as long as its failures are of the moment; the last one is thrown as it is worded. */
async function again<T>(deadline: number, work: () => Promise<T>, worded: (error: unknown) => unknown): Promise<T> {
  for (let pause = 50; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await work()
    } catch (error) {
      if (!isPassing(error) || performance.now() + pause > deadline) throw worded(error)
      await delay(pause * (0.5 + Math.random()))
    }
  }
}
