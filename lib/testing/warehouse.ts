import { deepEqual, ok } from 'node:assert/strict'
import { sameDecimal } from '../decimal.ts'
import { date, defineTable, string, type Table } from '../table.ts'
import { CONFORMANCE_DAYS, type ConformanceCase, only, prepared } from './case.ts'
import { CHARGE_CASES } from './charge-cases.ts'
import { PUBLISH_CASES } from './publish-cases.ts'
import { REFUSE_CASES } from './refuse-cases.ts'
import { SIFT_CASES } from './sift-cases.ts'
import { publishDrafts } from './stage.ts'
import { VALUE_CASES } from './values.ts'
import { WIDEN_CASES } from './widen-cases.ts'

export type { ConformanceCase, WarehouseHost } from './case.ts'

const [day] = CONFORMANCE_DAYS

/** Everything that the contract of a warehouse promises, one case each. */
export const WAREHOUSE_CASES: readonly ConformanceCase[] = [
  ...PUBLISH_CASES,
  ...REFUSE_CASES,
  ...SIFT_CASES,
  ...WIDEN_CASES,
  ...CHARGE_CASES,
  ...VALUE_CASES.map(({ title, column, values, expected, totals }) => {
    const table = defineTable('conformance.values', { client_id: string(), date: date(), value: column }, { partitionBy: 'date' })
    return prepared(
      title,
      async host => {
        const rows = values.map(value => ({ client_id: 'a', date: day, value }))
        const publication = only(
          await publishDrafts(host.warehouse, table, totals === undefined ? [] : ['value'], [{ client: 'a', from: day, rows }]),
        )
        const found = (await host.rows(table)).map(({ value }) => value ?? null)
        const wanted = expected ?? values.map(value => (value === null ? null : String(value)))
        deepEqual(found.map(value => canonical(table, value)).sort(), wanted.map(value => canonical(table, value)).sort())
        if (totals !== undefined) ok(sameDecimal(only(publication.present).totals.value ?? '', totals))
      },
      table,
    )
  }),
]

/** The same value of the column `value` in one spelling, as JSON: warehouses write numbers, instants and JSON in their own ways. */
export function canonical(table: Table, value: string | null): string {
  return JSON.stringify(value === null ? null : spelled(table, value))
}

function spelled(table: Table, value: string): string {
  const type = table.columns.value?.type
  if (type === 'NUMERIC') return value.includes('.') ? value.replace(/\.?0+$/, '') : value
  if (type === 'FLOAT64') return String(Number(value))
  if (type === 'JSON') return JSON.stringify(sorted(JSON.parse(value)))
  return value
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  )
}
