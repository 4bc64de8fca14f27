import { createHash } from 'node:crypto'
import { DataError, TransientError } from '../../errors.ts'
import { type Table, warehouseSchema } from '../../table.ts'
import { STAGED_REJECT_FIELDS } from '../kept.ts'
import { MOST_REFUSED, type Refusal } from '../sift.ts'
import type { RefusedRow, Staging } from '../warehouse.ts'
import type { Client } from './client.ts'
import { failure } from './failure.ts'
import { resultRows, runQuery } from './jobs.ts'
import { rejectLines } from './json.ts'
import { identifier, type TableId, tablePath, tableText } from './names.ts'
import { ensureTable } from './prepare.ts'
import { refusedRow } from './refused.ts'
import type { Declared, Field } from './schema.ts'
import { type StagingArea, sealed } from './staging.ts'

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
      sift: async () => rows.sift(table),
      seal: async () => {
        const sources = [await rows.seal(), await rejects.seal()]
        return sealed(rows.bytes, { rows: sources[0], rejects: sources[1], jobs: rows.jobs + rejects.jobs })
      },
      // Rows that were streamed cannot be deleted for a while; they expire with their day.
      discard: async () => {},
    }
  }

  /** Rows that were streamed cannot be deleted for a while; they expire with their day. */
  async discard(): Promise<void> {}

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
  #dropped = 0
  #refused: RefusedStreamedRow[] = []
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
    let rows: StreamedRow[] = []
    let size = 0
    for (let from = 0; from < text.length; ) {
      const end = text.indexOf('\n', from) + 1
      const row = { number: this.#rows++, line: text.slice(from, end) }
      if (rows.length >= MOST_ROWS || (rows.length > 0 && size + row.line.length > MOST_BYTES / 3)) {
        await this.#send(rows)
        rows = []
        size = 0
      }
      rows.push(row)
      size += row.line.length
      from = end
    }
    if (rows.length > 0) await this.#send(rows)
    this.bytes += byteLength
  }

  /** Rows that are refused are kept for `sift`; those that were not stored for no fault of theirs are sent again. */
  async #send(rows: readonly StreamedRow[]): Promise<void> {
    for (let failures = 0, left = rows; left.length > 0; ) {
      const before = this.#refused.length
      const again: StreamedRow[] = []
      let reason = 'stopped'
      for (const { index = -1, errors = [] } of await this.#insert(left)) {
        const row = left[index]
        const fault = errors.find(error => error.reason === 'invalid')
        if (row !== undefined && fault !== undefined) this.#refuse(row, fault)
        else if (row !== undefined) {
          again.push(row)
          reason = errors.find(error => error.reason !== undefined)?.reason ?? reason
        }
      }
      left = again
      // Rows that only stopped because of others go at once.
      if (again.length === 0 || this.#refused.length > before) continue
      if (++failures >= this.#client.settings.tries) {
        throw new TransientError('WAREHOUSE_FAILED', {
          message: `${tableText(this.#table)}: ${again.length} of ${rows.length} rows were not stored (${reason})`,
          hint: 'Nothing of this chunk was published; it is read again.',
        })
      }
      await this.#client.pause(failures)
    }
  }

  async #insert(rows: readonly StreamedRow[]): Promise<readonly InsertError[]> {
    const { dataset, table } = this.#table
    const body = Buffer.from(`{"skipInvalidRows":true,"rows":[${rows.map(row => this.#sent(row)).join(',')}]}`)
    const path = `/datasets/${dataset}/tables/${table}/insertAll`
    try {
      // The ids of the rows make it harmless to send them again.
      const answer = await this.#client.ask({
        method: 'POST',
        path,
        bytes: body,
        headers: { 'Content-Type': 'application/json' },
      })
      const { insertErrors = [] }: { readonly insertErrors?: readonly InsertError[] } = answer.body
      return insertErrors
    } catch (error) {
      throw failure(tableText(this.#table), error, 'Nothing of this chunk was published.')
    }
  }

  /** A row as it stands in the request: that of the line, and what is ours. */
  #sent({ number, line }: StreamedRow): string {
    const own = `"headrace_attempt":"${this.#attemptId}","headrace_row":${number},"headrace_at":"${this.#at}"`
    return `{"insertId":"${this.#attemptId}-${number}","json":{${own},${line.slice(1, -1)}}`
  }

  #refuse({ number, line }: StreamedRow, { message = 'refused', location = '' }: RowError): void {
    this.#refused.push({ number, line, message, column: location === '' ? null : location })
    if (this.#refused.length > MOST_REFUSED) throw this.#unreadable(`more than ${MOST_REFUSED}`)
  }

  #unreadable(count: string): DataError {
    const named = this.#refused
      .slice(0, 5)
      .map(({ number, message, column }) => `row ${number + 1} (${column == null ? '' : `${column}: `}${message})`)
    return new DataError('STAGED_UNREADABLE', {
      message: `${tableText(this.#table)}: BigQuery refuses ${count} of ${this.#rows} rows: ${named.join('; ')}`,
      hint: 'Nothing of this chunk was published. So many have one cause: reject them with a constraint of the table, or map them to something else.',
    })
  }

  /** The rows that were refused; they are not expected any more. */
  sift(table: Table): RefusedRow[] {
    const refused = this.#refused
    this.#refused = []
    this.#dropped += refused.length
    for (const { line } of refused) this.bytes -= Buffer.byteLength(line)
    return refused.map(({ line, ...refusal }) => refusedRow(table, Buffer.from(line), refusal))
  }

  /** Looks whether every row arrived; returns the text a query reads them by. */
  async seal(): Promise<string | undefined> {
    if (this.#refused.length > 0) throw this.#unreadable(String(this.#refused.length))
    const expected = this.#rows - this.#dropped
    if (expected === 0) return undefined
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
    if (found !== String(expected)) {
      throw new TransientError('WAREHOUSE_FAILED', {
        message: `${tableText(this.#table)}: ${expected} rows streamed, ${found} arrived`,
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

/** A row with its line, and its number among those of the attempt. */
interface StreamedRow {
  readonly number: number
  readonly line: string
}

interface RefusedStreamedRow extends StreamedRow, Refusal {}

interface RowError {
  readonly reason?: string
  readonly message?: string
  readonly location?: string
}

interface InsertError {
  readonly index?: number
  readonly errors?: readonly RowError[]
}
