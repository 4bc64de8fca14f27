import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DuckDBInstance } from '@duckdb/node-api'
import type { Test } from 'tap'
import type { WarningName } from '../../lib/errors.ts'
import type { AnyRow, Reject, Value } from '../../lib/row.ts'
import { type Column, date, defineTable, int64, nullable, numeric, string, type Table } from '../../lib/table.ts'
import { type Draft, stageDraft } from '../../lib/testing/stage.ts'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import type { Member, Publication, Warehouse, WarehouseCall } from '../../lib/warehouse/warehouse.ts'

/** The table most tests write to. */
export const ads = defineTable(
  'ads.daily',
  { client_id: string(), date: date(), name: string(), clicks: int64(), cost: numeric(), note: nullable(string()) },
  { partitionBy: 'date', key: ['client_id', 'date', 'name'] },
)

/** The control totals of `ads`. */
export const TOTALS = ['clicks', 'cost']

/** A row of `ads`. */
export function ad(client: string, day: string, name: string, clicks = 1, cost = '0.5', note: string | null = null): AnyRow {
  return { client_id: client, date: day, name, clicks, cost, note }
}

/** A temporary folder that is gone after the test. */
export function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A call that nobody interrupts and whose warnings are kept. */
export function calling(signal: AbortSignal = new AbortController().signal): WarehouseCall & { readonly warnings: string[] } {
  const warnings: string[] = []
  return { signal, warn: (name: WarningName, message: string) => void warnings.push(`${name} ${message}`), warnings }
}

/** A warehouse in a fresh folder, its tables created. */
export async function prepared(t: Test, ...tables: readonly Table[]): Promise<{ warehouse: Warehouse; path: string }> {
  const path = join(folder(t), 'warehouse.duckdb')
  const warehouse = duckdb({ path })
  for (const table of tables) await warehouse.prepare(table, { create: true }, calling())
  return { warehouse, path }
}

/** Stages rows the way a chunk does, and returns the member that asks to publish them; totals are those of the table, if it is the usual one. */
export function stage(warehouse: Warehouse, table: Table, draft: Draft): Promise<Member> {
  return stageDraft(warehouse, table, { totals: table === ads ? TOTALS : [], ...draft })
}

/** A day that is as good as any other. */
export const DAY = '2026-01-01'

/** A table of one more column, `value`, without a key. */
export function tableOf(value: Column): Table {
  return defineTable('ads.values', { client_id: string(), date: date(), value }, { partitionBy: 'date' })
}

/** Rows of such a table. */
export function rowsOf(values: readonly Value[]): AnyRow[] {
  return values.map(value => ({ client_id: 'a', date: DAY, value }))
}

/** Publishes rows of client `a` and one day. */
export async function publish(
  warehouse: Warehouse,
  table: Table,
  rows: readonly AnyRow[],
  totals: readonly string[] = [],
): Promise<Publication> {
  const member = await stage(warehouse, table, { client: 'a', from: DAY, rows, totals })
  const [publication] = await warehouse.commit(table, totals, [member], calling())
  if (publication === undefined) throw new Error('nothing was published')
  return publication
}

/** A reject of some day. */
export function reject(day: string | null, record: unknown = { raw: 1 }): Reject {
  return { column: 'clicks', rule: 'type', value: '"x"', reason: 'is not a number', day, record }
}

/** Runs a query on the file as any other program would. Never while a turn of this process is under way. */
export async function query(path: string, sql: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' })
  try {
    const connection = await instance.connect()
    const rows = (await connection.runAndReadAll(sql)).getRowObjectsJson()
    connection.closeSync()
    return rows
  } finally {
    instance.closeSync()
  }
}

/** Changes the file as any other program would. */
export async function execute(path: string, ...statements: readonly string[]): Promise<void> {
  const instance = await DuckDBInstance.create(path)
  try {
    const connection = await instance.connect()
    for (const statement of statements) await connection.run(statement)
    connection.closeSync()
  } finally {
    instance.closeSync()
  }
}

/** The rows of `ads` as short texts, in order. */
export async function adsRows(path: string): Promise<string[]> {
  const rows = await query(
    path,
    'SELECT client_id, date::VARCHAR AS date, name, clicks, cost FROM ads.daily ORDER BY client_id, date, name, clicks',
  )
  return rows.map(row => `${row.client_id} ${row.date} ${row.name} ${row.clicks} ${row.cost}`)
}

/** A script beside this file, run by another process that talks in lines. */
export function child(
  t: Test,
  script: string,
  ...args: readonly string[]
): { readonly process: ChildProcess; readonly lines: AsyncIterator<string>; readonly ended: Promise<string> } {
  const spawned = spawn(process.execPath, [join(import.meta.dirname, script), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => spawned.kill('SIGKILL'))
  const lines = createInterface({ input: spawned.stdout })[Symbol.asyncIterator]()
  const ended = new Promise<string>(resolve => spawned.once('exit', (code, signal) => resolve(signal ?? String(code))))
  return { process: spawned, lines, ended }
}
