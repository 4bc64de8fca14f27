import { availableParallelism } from 'node:os'
import { parse, resolve } from 'node:path'
import { DataError } from '../../errors.ts'
import type { WarehouseFile } from '../../ledger/homes.ts'
import type { Table } from '../../table.ts'
import type { DayCount, Member, Publication, RejectQuery, StoredReject, Warehouse, WarehouseCall } from '../warehouse.ts'
import { commitGroup, dayCount } from './commit.ts'
import { compileCsv } from './csv.ts'
import { CATALOG, Database } from './database.ts'
import { NARROW_TYPES, type StagedTypes } from './read-csv.ts'
import {
  createStatements,
  DUCKDB_TYPES,
  type Found,
  identifier,
  literal,
  lookFor,
  NOTHING,
  rejectsName,
  tableName,
  wideningStatements,
} from './schema.ts'
import { siftFile } from './sift.ts'
import { StagingFolder } from './staging.ts'

/** Settings of the embedded warehouse. */
export interface DuckDBOptions {
  /** The database file; created when it is not there. Relative to the folder headrace runs in. */
  readonly path: string
  /** DuckDB's own buffer, as its `memory_limit`. Default `256MB`; larger commits spill to disk. */
  readonly memoryLimit?: string
  /** Seconds to wait while another process holds the file. Default 600. */
  readonly patience?: number
}

/**
 * The warehouse that needs no account and no server: one DuckDB file. It is held only while something is written or read, so that
 * several headrace processes and a person with the DuckDB shell may take turns.
 */
export function duckdb(options: DuckDBOptions): Warehouse {
  const path = resolve(options.path)
  const folder = new StagingFolder(`${path}.staging`)
  const database = new Database({
    path,
    memoryLimit: options.memoryLimit ?? '256MB',
    // One core is for JavaScript, which parses the next chunk meanwhile.
    threads: Math.max(1, Math.min(4, availableParallelism() - 1)),
    tempDirectory: `${folder.path}/spill`,
    patienceMs: (options.patience ?? 600) * 1_000,
  })

  async function prepare(table: Table, { create }: { readonly create: boolean }, call: WarehouseCall): Promise<boolean> {
    const found = (await database.exists()) ? await database.turn('read', ({ query }) => lookFor(query, table), call) : NOTHING
    if (create && !(found.table && found.rejects && found.slices)) {
      await database.turn(
        'write',
        async ({ query, run }) => {
          // Looked for again under the write lock: another process may have created it in between.
          const statements = createStatements(table, await lookFor(query, table))
          await run('BEGIN TRANSACTION', ...statements, 'COMMIT')
        },
        call,
      )
    }
    return found.table
  }

  async function file({ create }: { readonly create: boolean }, call: WarehouseCall): Promise<WarehouseFile> {
    if (!create && !(await database.exists())) return { path, id: null }
    const mark = `${CATALOG}.main.headrace_file`
    const id = await database.turn(
      'write',
      async ({ query }) => {
        await query(`CREATE TABLE IF NOT EXISTS ${mark} AS SELECT uuid()::VARCHAR AS id`)
        return String((await query(`SELECT id FROM ${mark}`))[0]?.id)
      },
      call,
    )
    return { path, id }
  }

  async function widen(table: Table, call: WarehouseCall): Promise<string[]> {
    if (!(await database.exists())) return []
    const wanted = await database.turn('read', ({ query }) => wideningStatements(query, table), call)
    if (wanted.length === 0) return []
    return database.turn(
      'write',
      async ({ query, run }) => {
        // Looked at again under the write lock: another process may have widened it in between.
        const statements = await wideningStatements(query, table)
        await run('BEGIN TRANSACTION')
        for (const { sql } of statements) await run(sql)
        await run('COMMIT')
        return statements.map(({ text }) => text)
      },
      call,
    )
  }

  /** Tables that were seen to hold decimals of more than 18 digits. */
  const wide = new Set<string>()

  async function commit(
    table: Table,
    totals: readonly string[],
    members: readonly Member[],
    call: WarehouseCall,
  ): Promise<Publication[]> {
    const attempt = (types: StagedTypes): Promise<Publication[]> =>
      database.turn('write', turn => commitGroup(turn, table, totals, members, folder, types), call)
    if (wide.has(table.name)) return attempt(DUCKDB_TYPES)
    try {
      return await attempt(NARROW_TYPES)
    } catch (error) {
      if (!(error instanceof DataError && error.code === 'STAGED_UNREADABLE')) throw error
      // Rolled back. If it was for a long decimal, the full type reads it; if not, the same error comes again.
      const publications = await attempt(DUCKDB_TYPES)
      wide.add(table.name)
      return publications
    }
  }

  /** Reads from the table, or from what is kept beside it, if that is there yet. */
  async function read(table: Table, what: keyof Found, sql: string, call: WarehouseCall): Promise<Record<string, unknown>[]> {
    if (!(await database.exists())) return []
    return database.turn('read', async ({ query }) => ((await lookFor(query, table))[what] ? query(sql) : []), call)
  }

  async function recount(
    table: Table,
    totals: readonly string[],
    clients: readonly string[],
    call: WarehouseCall,
  ): Promise<DayCount[]> {
    const sums = totals.map(column => `, sum(${identifier(column)})::VARCHAR AS ${identifier(`total ${column}`)}`).join('')
    const rows = await read(
      table,
      'table',
      `SELECT client_id AS client, ${identifier(table.partitionBy)}::VARCHAR AS day, count(*) AS rows${sums} FROM ${tableName(table)} ` +
        `WHERE client_id IN (${clients.map(literal).join(', ')}) GROUP BY 1, 2 ORDER BY 1, 2`,
      call,
    )
    return rows.map(row => dayCount(row, totals))
  }

  async function clients(table: Table, call: WarehouseCall): Promise<string[]> {
    const rows = await read(table, 'table', `SELECT DISTINCT client_id FROM ${tableName(table)} ORDER BY 1`, call)
    return rows.map(row => String(row.client_id))
  }

  async function rejects(
    table: Table,
    { clients: only, window, limit }: RejectQuery,
    call: WarehouseCall,
  ): Promise<StoredReject[]> {
    const where = [
      ...(only === undefined ? [] : [`client_id IN (${only.map(literal).join(', ')})`]),
      ...(window === undefined ? [] : [`day BETWEEN DATE ${literal(window.from)} AND DATE ${literal(window.to)}`]),
    ]
    const rows = await read(
      table,
      'rejects',
      `SELECT client_id, day::VARCHAR AS day, column_name, rule, value, reason, record::VARCHAR AS record, attempt_id, held, ` +
        `strftime(rejected_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ') AS rejected_at FROM ${rejectsName(table)} ` +
        `${where.length === 0 ? '' : `WHERE ${where.join(' AND ')} `}ORDER BY day DESC, client_id, rule, column_name, record LIMIT ${limit}`,
      call,
    )
    return rows.map(row => ({
      client: String(row.client_id),
      day: String(row.day),
      column: row.column_name === null ? null : String(row.column_name),
      rule: String(row.rule),
      value: row.value === null ? null : String(row.value),
      reason: String(row.reason),
      record: String(row.record),
      attemptId: String(row.attempt_id),
      held: row.held === true,
      rejectedAt: String(row.rejected_at),
    }))
  }

  return {
    name: 'duckdb',
    // The specification has no name for it. This is how dbt names one, so that what dbt makes of the table is linked with it.
    datasetName: async ({ name }) => ({ namespace: `duckdb://${path}`, name: `${parse(path).name}.${name}` }),
    encoder: compileCsv,
    prepare,
    file,
    widen,
    stage: (table, attemptId) =>
      folder.stage(attemptId, (file, call) => database.turn('write', turn => siftFile(turn, table, file, call.signal), call)),
    discard: ({ attemptId }) => folder.discard(attemptId),
    commit,
    charge: async () => ({ kind: 'none' }),
    recount,
    clients,
    rejects,
    sweep: alive => folder.sweep(alive),
  }
}
