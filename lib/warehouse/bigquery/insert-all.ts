import { createHash } from 'node:crypto'
import { DataError, TransientError } from '../../errors.ts'
import { type Table, warehouseSchema } from '../../table.ts'
import { STAGED_REJECT_FIELDS } from '../kept.ts'
import type { Staging } from '../warehouse.ts'
import type { Client } from './client.ts'
import { failure } from './failure.ts'
import { resultRows, runQuery } from './jobs.ts'
import { rejectLines } from './json.ts'
import { identifier, type TableId, tablePath, tableText } from './names.ts'
import { ensureTable } from './prepare.ts'
import type { Declared, Field } from './schema.ts'
import type { StagedAttempt, StagingArea } from './staging.ts'

/** What tells the rows of the attempts in one table apart: whose a row is, its number, and when the attempt began. */
const OWN_FIELDS: readonly Field[] = [
  { name: 'headrace_attempt', type: 'STRING', mode: 'REQUIRED' },
  { name: 'headrace_row', type: 'INT64', mode: 'REQUIRED' },
  { name: 'headrace_at', type: 'TIMESTAMP', mode: 'REQUIRED' },
]

const DAY_MS = 86_400_000

/** Rows and bytes of one request. */
const MOST_ROWS = 500
const MOST_BYTES = 8_000_000

/**
 * Stages by streaming rows into one long-lived table per target. For those who may not run load jobs: it costs money, and BigQuery promises little.
 * So every row has a number, what arrived twice is read once, and what did not arrive is noticed before the commit.
 */
export class InsertArea implements StagingArea {
  readonly #client: Client
  readonly #staged = new Map<string, StagedAttempt>()

  constructor(client: Client) {
    this.#client = client
  }

  async prepare(table: Table, create: boolean, signal: AbortSignal): Promise<void> {
    // The tables must be there before anything is streamed: into a new one BigQuery loses rows for some minutes. They must outlive the
    // expiration of their dataset; their days do not.
    const more = { expirationTime: String(Date.now() + 10 * 365 * DAY_MS) }
    for (const declared of await this.streams(table)) await ensureTable(this.#client, declared, create, signal, more)
  }

  async streams(table: Table): Promise<readonly Declared[]> {
    const { rows, rejects } = await this.#tables(table)
    return [declaredStream(rows, warehouseSchema(table)), declaredStream(rejects, STAGED_REJECT_FIELDS)]
  }

  find(attemptId: string): StagedAttempt | undefined {
    return this.#staged.get(attemptId)
  }

  async stage(table: Table, attemptId: string): Promise<Staging> {
    const tables = await this.#tables(table)
    const rows = new StreamedRows(this.#client, tables.rows, Object.keys(table.columns), attemptId)
    const rejects = new StreamedRows(
      this.#client,
      tables.rejects,
      STAGED_REJECT_FIELDS.map(({ name }) => name),
      attemptId,
    )
    return {
      write: bytes => rows.write(bytes),
      reject: refused => rejects.write(Buffer.from(rejectLines(refused))),
      seal: async () => {
        const sources = [await rows.seal(), await rejects.seal()]
        this.#staged.set(attemptId, { rows: sources[0], rejects: sources[1], jobs: rows.jobs + rejects.jobs })
        return rows.bytes
      },
      // Rows that were streamed cannot be deleted for a while; they expire with their day.
      discard: async () => void this.#staged.delete(attemptId),
    }
  }

  /** There is nothing to find: the rows of a dead attempt expire. */
  async sweep(): Promise<number> {
    return 0
  }

  async #tables({ name }: Table): Promise<{ readonly rows: TableId; readonly rejects: TableId }> {
    const project = await this.#client.project()
    const { stagingDataset: dataset } = this.#client.settings
    // Two names must not become one: `a.b_c` and `a_b.c`.
    const suffix = `${name.replace('.', '_')}_${createHash('sha256').update(name).digest('hex').slice(0, 8)}`
    return {
      rows: { project, dataset, table: `stream_rows_${suffix}` },
      rejects: { project, dataset, table: `stream_rejects_${suffix}` },
    }
  }
}

function declaredStream(id: TableId, fields: readonly Field[]): Declared {
  return {
    id,
    fields: [...fields.map(({ name, type, mode }) => ({ name, type, mode })), ...OWN_FIELDS],
    partitionBy: 'headrace_at',
    clusterBy: ['headrace_attempt'],
    filtered: true,
    partitionExpirationMs: String(2 * DAY_MS),
  }
}

/** The rows of one attempt on their way into such a table. */
class StreamedRows {
  readonly #client: Client
  readonly #table: TableId
  readonly #columns: readonly string[]
  readonly #attemptId: string
  readonly #at = new Date().toISOString()
  #rows = 0
  bytes = 0
  /** Jobs it took to look whether everything arrived. */
  jobs = 0

  constructor(client: Client, table: TableId, columns: readonly string[], attemptId: string) {
    this.#client = client
    this.#table = table
    this.#columns = columns
    this.#attemptId = attemptId
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { buffer, byteOffset, byteLength } = bytes
    const text = Buffer.from(buffer, byteOffset, byteLength).toString('utf8')
    let rows: string[] = []
    let size = 0
    for (let from = 0; from < text.length; ) {
      const end = text.indexOf('\n', from)
      const row = this.#row(text.slice(from + 1, end))
      if (rows.length >= MOST_ROWS || (rows.length > 0 && size + row.length > MOST_BYTES / 3)) {
        await this.#send(rows)
        rows = []
        size = 0
      }
      rows.push(row)
      size += row.length
      from = end + 1
    }
    if (rows.length > 0) await this.#send(rows)
    this.bytes += byteLength
  }

  /** A row of the request from the line of it, whose brace is gone already. */
  #row(line: string): string {
    const number = this.#rows++
    const own = `"headrace_attempt":"${this.#attemptId}","headrace_row":${number},"headrace_at":"${this.#at}"`
    return `{"insertId":"${this.#attemptId}-${number}","json":{${own},${line}}`
  }

  async #send(rows: readonly string[]): Promise<void> {
    const { dataset, table } = this.#table
    const body = Buffer.from(`{"skipInvalidRows":true,"rows":[${rows.join(',')}]}`)
    const path = `/datasets/${dataset}/tables/${table}/insertAll`
    let answer: { readonly insertErrors?: readonly InsertError[] }
    try {
      // The ids of the rows make it harmless to send them again.
      answer = (await this.#client.ask({ method: 'POST', path, bytes: body, headers: { 'Content-Type': 'application/json' } }))
        .body
    } catch (error) {
      throw failure(tableText(this.#table), error, 'Nothing of this chunk was published.')
    }
    const refused = answer.insertErrors ?? []
    if (refused.length === 0) return
    const first = this.#rows - rows.length
    const named = refused.slice(0, 5).map(({ index = 0, errors = [] }) => {
      const [{ message = 'refused', location = '' } = {}] = errors
      return `row ${first + index + 1} (${location === '' ? '' : `${location}: `}${message})`
    })
    throw new DataError('STAGED_UNREADABLE', {
      message: `BigQuery refuses ${refused.length} of ${rows.length} rows: ${named.join('; ')}`,
      hint: 'Nothing of this chunk was published. Reject such rows with a constraint of the table, or map them to something else.',
    })
  }

  /** Looks whether every row arrived; returns the text a query reads them by. */
  async seal(): Promise<string | undefined> {
    if (this.#rows === 0) return undefined
    const mine = `headrace_attempt = '${this.#attemptId}' AND headrace_at = TIMESTAMP '${this.#at}'`
    const sql = `SELECT COUNT(DISTINCT headrace_row) AS n FROM ${tablePath(this.#table)} WHERE ${mine}`
    let found: string | null | undefined
    try {
      const { jobId, jobs } = await runQuery(this.#client, { sql })
      this.jobs += jobs
      for await (const row of resultRows(this.#client, jobId)) found = row.n
    } catch (error) {
      throw failure(tableText(this.#table), error, 'Nothing of this chunk was published.')
    }
    if (found !== String(this.#rows)) {
      throw new TransientError('WAREHOUSE_FAILED', {
        message: `${tableText(this.#table)}: ${this.#rows} rows streamed, ${found} arrived`,
        hint: 'Nothing of this chunk was published; it is read again. For some minutes BigQuery may lose rows of a table that is new.',
      })
    }
    const columns = this.#columns.map(identifier).join(', ')
    return (
      `(SELECT ${columns} FROM ${tablePath(this.#table)} WHERE ${mine}\n` +
      '    QUALIFY ROW_NUMBER() OVER (PARTITION BY headrace_row ORDER BY headrace_at) = 1)'
    )
  }
}

interface InsertError {
  readonly index?: number
  readonly errors?: readonly { readonly message?: string; readonly location?: string }[]
}
