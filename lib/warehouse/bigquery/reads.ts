import type { Table } from '../../table.ts'
import type { DayCount, RejectQuery, StoredReject } from '../warehouse.ts'
import type { Client } from './client.ts'
import { failure, ServiceError } from './failure.ts'
import { type QueryPlan, type ResultRow, resultRows, runQuery } from './jobs.ts'
import { identifier, namesOf, tablePath } from './names.ts'
import { texts } from './parameters.ts'
import { mustBeHere } from './prepare.ts'

/** Every day there is: a table may refuse queries that do not say which days they want. */
const ALL_DAYS = "BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"

/** What the table holds of some clients, per day. */
export async function recount(
  client: Client,
  table: Table,
  totals: readonly string[],
  clients: readonly string[],
  signal: AbortSignal,
): Promise<DayCount[]> {
  const { target } = namesOf(await client.project(), table)
  const day = `t.${identifier(table.partitionBy)}`
  const sums = totals.map(
    (column, index) => `, CAST(SUM(CAST(t.${identifier(column)} AS BIGNUMERIC)) AS STRING) AS total_${index}`,
  )
  const rows = await read(client, table, {
    sql:
      `SELECT t.client_id AS client, CAST(${day} AS STRING) AS day, COUNT(*) AS n${sums.join('')}\nFROM ${tablePath(target)} AS t\n` +
      `WHERE t.client_id IN UNNEST(@clients) AND ${day} ${ALL_DAYS} GROUP BY 1, 2 ORDER BY 1, 2`,
    parameters: [texts('clients', clients)],
    signal,
  })
  return rows.map(row => ({
    client: String(row.client),
    day: String(row.day),
    rows: Number(row.n),
    totals: Object.fromEntries(totals.map((column, index) => [column, String(row[`total_${index}`])])),
  }))
}

/** Every client the table holds rows of. */
export async function clientsOf(client: Client, table: Table, signal: AbortSignal): Promise<string[]> {
  const { target } = namesOf(await client.project(), table)
  const sql =
    `SELECT DISTINCT t.client_id AS client FROM ${tablePath(target)} AS t ` +
    `WHERE t.${identifier(table.partitionBy)} ${ALL_DAYS} ORDER BY 1`
  return (await read(client, table, { sql, signal })).map(row => String(row.client))
}

/** Kept rejects, newest day first. */
export async function rejectsOf(
  client: Client,
  table: Table,
  { clients, window, limit }: RejectQuery,
  signal: AbortSignal,
): Promise<StoredReject[]> {
  const { rejects } = namesOf(await client.project(), table)
  const days = window === undefined ? ALL_DAYS : `BETWEEN DATE '${window.from}' AND DATE '${window.to}'`
  const rows = await read(client, table, {
    sql:
      'SELECT r.client_id, CAST(r.day AS STRING) AS day, r.column_name, r.rule, r.value, r.reason, TO_JSON_STRING(r.record) AS record,\n' +
      "  r.attempt_id, r.held, FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%SZ', r.rejected_at) AS rejected_at\n" +
      `FROM ${tablePath(rejects)} AS r\nWHERE r.day ${days}${clients === undefined ? '' : ' AND r.client_id IN UNNEST(@clients)'}\n` +
      `ORDER BY r.day DESC, r.client_id, r.rule, r.column_name NULLS LAST, record LIMIT ${limit}`,
    ...(clients === undefined ? {} : { parameters: [texts('clients', clients)] }),
    signal,
  })
  return rows.map(row => ({
    client: String(row.client_id),
    day: String(row.day),
    column: row.column_name ?? null,
    rule: String(row.rule),
    value: row.value ?? null,
    reason: String(row.reason),
    record: String(row.record),
    attemptId: String(row.attempt_id),
    held: row.held === 'true',
    rejectedAt: String(row.rejected_at),
  }))
}

/** The rows of a query; none when what it reads is not there yet. */
async function read(client: Client, table: Table, plan: QueryPlan): Promise<ResultRow[]> {
  try {
    const { jobId } = await runQuery(client, plan)
    return await Array.fromAsync(resultRows(client, jobId, plan.signal))
  } catch (error) {
    if (error instanceof ServiceError && error.missing && /not found: (table|dataset)/i.test(error.message)) {
      // A dataset in another location is not found either, and that is no empty table.
      await mustBeHere(client, table, plan.signal)
      return []
    }
    throw failure(table.name, error, 'Nothing was changed.')
  }
}
