import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bigquery } from '../../../lib/index.ts'
import type { Table } from '../../../lib/table.ts'
import type { WarehouseHost } from '../../../lib/testing/warehouse.ts'
import type { BigQueryOptions } from '../../../lib/warehouse/bigquery/options.ts'
import type { QueryParameter } from '../../../lib/warehouse/bigquery/parameters.ts'
import type { Warehouse } from '../../../lib/warehouse/warehouse.ts'

/** A row of an answer, in the order of its columns: an emulator does not name all of them. */
export type Row = readonly (string | null)[]

/** A project of its own in an emulator, with the warehouse on it and a way to ask that does not go through headrace. */
export interface Area extends WarehouseHost {
  readonly project: string
  ask(sql: string, parameters?: readonly QueryParameter[]): Promise<Answer>
  /** One request below the project. */
  send(method: 'GET' | 'POST', path: string, body?: unknown): Promise<{ readonly status: number; readonly body: unknown }>
}

/** What a query answered. */
export interface Answer {
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
  /** Rows that a statement changed, as text. */
  readonly changed: string | undefined
}

/** The answer of `jobs.query`, as far as it is looked at. */
interface QueryAnswer {
  readonly schema?: { readonly fields?: readonly { readonly name?: string }[] }
  readonly rows?: readonly { readonly f: readonly { readonly v: string | null }[] }[]
  readonly numDmlAffectedRows?: string
  readonly error?: { readonly message?: string }
}

/** Where rows wait on their way to an emulator. */
const spools = mkdtempSync(join(tmpdir(), 'headrace-spools-'))
process.once('exit', () => rmSync(spools, { recursive: true, force: true }))

const ALL_DAYS = "BETWEEN '0001-01-01' AND '9999-12-31'"

/** Opens one. */
export function openArea(url: string, staging: BigQueryOptions['staging']): Area {
  const project = `p${randomUUID().slice(0, 8)}`
  const send: Area['send'] = async (method, path, body) => {
    const answer = await fetch(`${url}/bigquery/v2/projects/${project}${path}`, {
      method,
      headers: { 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    })
    return { status: answer.status, body: await answer.json() }
  }
  const ask: Area['ask'] = async (query, queryParameters = []) => {
    const { body } = await send('POST', '/queries', {
      query,
      useLegacySql: false,
      formatOptions: { useInt64Timestamp: true },
      ...(queryParameters.length === 0 ? {} : { queryParameters, parameterMode: 'NAMED' }),
    })
    const { schema, rows = [], numDmlAffectedRows, error }: QueryAnswer = Object(body)
    if (error !== undefined) throw new Error(`${error.message}: ${query.slice(0, 200)}`)
    return {
      columns: (schema?.fields ?? []).map(({ name = '' }) => name),
      rows: rows.map(({ f }) => f.map(({ v }) => v)),
      changed: numDmlAffectedRows,
    }
  }
  const everything = (table: Table): string => `\`${project}.${table.name}\` WHERE ${table.partitionBy} ${ALL_DAYS}`
  const another = (): Warehouse =>
    bigquery({
      project,
      location: 'US',
      apiEndpoint: url,
      spool: join(spools, project),
      ...(staging === undefined ? {} : { staging }),
      tries: 2,
      retrySeconds: 0.05,
      jobSeconds: 60,
    })
  return {
    project,
    send,
    ask,
    warehouse: another(),
    another,
    rows: async table => {
      const { columns, rows } = await ask(`SELECT * FROM ${everything(table)}`)
      return rows.map(row => Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])))
    },
    spoil: async (table, client) => void (await ask(`DELETE FROM ${everything(table)} AND client_id = '${client}'`)),
    close: async () => {},
  }
}
