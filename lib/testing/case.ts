import { rejects as throws } from 'node:assert/strict'
import type { HeadraceError } from '../errors.ts'
import type { AnyRow, Reject } from '../row.ts'
import { date, defineTable, int64, nullable, numeric, string, type Table } from '../table.ts'
import { GroupRefused, type Member, type Publication, type Warehouse } from '../warehouse/warehouse.ts'
import { undisturbed } from './stage.ts'

/** A warehouse that nobody else uses, and a way to look into it that does not go through it. */
export interface WarehouseHost {
  readonly warehouse: Warehouse
  /** The same warehouse as another process would open it. */
  another(): Warehouse
  /** All rows of a table, each value as the warehouse's own client would show it as text; NULL is null. */
  rows(table: Table): Promise<readonly Readonly<Record<string, string | null>>[]>
  /** Changes a table behind the back of headrace: deletes all rows of a client. */
  spoil(table: Table, client: string): Promise<void>
  close(): Promise<void>
}

/** One thing that every warehouse must do. */
export interface ConformanceCase {
  readonly title: string
  /** Throws an assertion error when the warehouse does not. */
  run(open: () => Promise<WarehouseHost>): Promise<void>
}

/** The table of most cases. */
export const CONFORMANCE_TABLE = defineTable(
  'conformance.daily',
  { client_id: string(), date: date(), name: string(), clicks: int64(), cost: numeric(), note: nullable(string()) },
  { partitionBy: 'date', key: ['client_id', 'date', 'name'] },
)

/** The control totals of that table. */
export const CONFORMANCE_TOTALS = ['clicks', 'cost']

/** Three days in a row. */
export const CONFORMANCE_DAYS = ['2026-01-01', '2026-01-02', '2026-01-03'] as const

/** A row of that table. */
export function conformanceRow(
  client: string,
  day: string,
  name: string,
  clicks = 1,
  cost = '0.5',
  note: string | null = null,
): AnyRow {
  return { client_id: client, date: day, name, clicks, cost, note }
}

/** A reject of some day. */
export function conformanceReject(day: string | null, record: unknown): Reject {
  return { column: 'clicks', rule: 'type', value: '"x"', reason: 'is not a number', day, record }
}

/** The rows as short texts, in order. */
export async function shown({ rows }: WarehouseHost): Promise<string[]> {
  const found = await rows(CONFORMANCE_TABLE)
  return found
    .map(({ client_id, date: day, name, clicks, cost }) => `${client_id} ${day} ${name} ${clicks} ${Number(cost)}`)
    .sort()
}

/** What a case does with its warehouse. */
export type Check = (host: WarehouseHost) => Promise<void>

/** A case on a fresh warehouse whose table is there. */
export function prepared(title: string, check: Check, table: Table = CONFORMANCE_TABLE): ConformanceCase {
  return {
    title,
    run: async open => {
      const host = await open()
      try {
        await host.warehouse.prepare(table, { create: true }, undisturbed)
        await check(host)
      } finally {
        await host.close()
      }
    },
  }
}

/** The errors of a refused group, by the place of the member in it. */
export async function refusals(commit: Promise<unknown>, members: readonly Member[]): Promise<(string | undefined)[]> {
  let refused: ReadonlyMap<string, HeadraceError> | undefined
  await throws(commit, error => {
    if (error instanceof GroupRefused) refused = error.refused
    return error instanceof GroupRefused
  })
  return members.map(({ attemptId }) => refused?.get(attemptId)?.code)
}

/** The only one of a list. */
export function only<T>(list: readonly T[]): T {
  const [first] = list
  if (first === undefined || list.length !== 1) throw new Error(`${list.length} where one was expected`)
  return first
}

/** What became of each member, and of how many rows. */
export function outcomes(publications: readonly Publication[]): unknown[] {
  return publications.map(({ outcome, deleted, inserted }) => [outcome, deleted, inserted])
}
