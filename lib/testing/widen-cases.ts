import { deepEqual, equal, ok, rejects as throws } from 'node:assert/strict'
import type { HeadraceError } from '../errors.ts'
import { int64, json, nullable, numeric, string, type Table } from '../table.ts'
import { CONFORMANCE_DAYS, CONFORMANCE_TABLE, type ConformanceCase, conformanceRow, prepared, shown } from './case.ts'
import { publishDrafts, undisturbed } from './stage.ts'

const TABLE = CONFORMANCE_TABLE
const [D1, D2] = CONFORMANCE_DAYS
const row = conformanceRow

/** The same table with two columns more, and one that may be null from now on. */
const WIDER: Table = {
  ...TABLE,
  columns: { ...TABLE.columns, cost: nullable(numeric()), region: nullable(string()), extra: nullable(json()) },
}

/** What was widened, without the place: a warehouse may have tables of its own to widen with the declared one. */
function clauses(widened: readonly string[]): string[] {
  return [...new Set(widened.map(text => text.replace(/^.*: /, '')))].sort()
}

/** Bringing a live table nearer to its declaration. */
export const WIDEN_CASES: readonly ConformanceCase[] = [
  {
    title: 'a table that is not there is not widened, and not created either',
    run: async open => {
      const host = await open()
      try {
        deepEqual(await host.warehouse.widen(TABLE, undisturbed), [])
        equal(await host.warehouse.prepare(TABLE, { create: false }, undisturbed), false)
      } finally {
        await host.close()
      }
    },
  },
  prepared('declared nullable columns are added and columns relaxed, once, and what is there stays', async host => {
    const { warehouse } = host
    await publishDrafts(warehouse, TABLE, [], [{ client: 'a', from: D1, rows: [row('a', D1, 'old', 1, '0.5', 'kept')] }])
    deepEqual(await warehouse.widen(TABLE, undisturbed), [])
    const widened = await warehouse.widen(WIDER, undisturbed)
    deepEqual(clauses(widened), ['column cost may be null now', 'column extra added', 'column region added'])
    deepEqual(await warehouse.widen(WIDER, undisturbed), [])
    equal(await warehouse.prepare(WIDER, { create: true }, undisturbed), true)
    const added = { ...row('a', D2, 'new'), cost: null, region: 'EU', extra: '{"a":1}' }
    await publishDrafts(warehouse, WIDER, ['clicks'], [{ client: 'a', from: D2, rows: [added] }])
    const found = await host.rows(WIDER)
    deepEqual(found.map(({ name, cost, note, region }) => [name, cost === null, note, region]).sort(), [
      ['new', true, null, 'EU'],
      ['old', false, 'kept', null],
    ])
  }),
  prepared('nothing is widened by a required column, another type, or a column that is not declared', async host => {
    const { warehouse } = host
    const { note: _, ...columns } = TABLE.columns
    const other: Table = { ...TABLE, columns: { ...columns, name: int64(), region: nullable(string()), must: string() } }
    deepEqual(clauses(await warehouse.widen(other, undisturbed)), ['column region added'])
    await throws(warehouse.prepare(other, { create: false }, undisturbed), (error: HeadraceError) => {
      equal(error.code, 'TABLE_MISMATCH')
      for (const name of ['name', 'must', 'note']) ok(error.message.includes(`column ${name} `), error.message)
      ok(!error.message.includes('region'), error.message)
      ok(error.hint?.includes('must is required'), error.hint)
      return true
    })
    // Required again is narrower, not wider.
    const relaxed: Table = { ...TABLE, columns: { ...TABLE.columns, region: nullable(string()), clicks: nullable(int64()) } }
    deepEqual(clauses(await warehouse.widen(relaxed, undisturbed)), ['column clicks may be null now'])
    const narrow: Table = { ...relaxed, columns: { ...relaxed.columns, clicks: int64() } }
    deepEqual(await warehouse.widen(narrow, undisturbed), [])
    await throws(warehouse.prepare(narrow, { create: false }, undisturbed), /column clicks is nullable/)
  }),
  prepared('two that widen at once do it once', async host => {
    const { warehouse } = host
    await publishDrafts(warehouse, TABLE, [], [{ client: 'a', from: D1, rows: [row('a', D1, 'x')] }])
    const both = await Promise.all([warehouse.widen(WIDER, undisturbed), warehouse.widen(WIDER, undisturbed)])
    deepEqual(clauses(both.flat()), ['column cost may be null now', 'column extra added', 'column region added'])
    equal(await warehouse.prepare(WIDER, { create: false }, undisturbed), true)
    deepEqual(await shown(host), [`a ${D1} x 1 0.5`])
  }),
]
