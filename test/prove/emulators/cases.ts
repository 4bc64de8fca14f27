import { deepEqual, equal, match, rejects } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Bytes } from '../../../lib/bytes.ts'
import { HeadraceError } from '../../../lib/errors.ts'
import { date, defineTable, string } from '../../../lib/table.ts'
import { CONFORMANCE_DAYS, CONFORMANCE_TABLE, conformanceRow, only } from '../../../lib/testing/case.ts'
import { stageDraft, undisturbed } from '../../../lib/testing/stage.ts'
import { VALUE_CASES } from '../../../lib/testing/values.ts'
import { canonical, WAREHOUSE_CASES } from '../../../lib/testing/warehouse.ts'
import { type Area, openArea } from './area.ts'
import { COMMIT_CASES } from './commit-cases.ts'

/** One path of the warehouse, tried on an emulator. */
export interface EmulatorCase {
  readonly title: string
  /** `url` takes the compression out of uploads, `direct` does not. */
  run(servers: { readonly url: string; readonly direct: string }): Promise<void>
}

/** Of the kit, what does not publish, and the plainest publication. The others need what that needs. */
const OF_THE_KIT = [
  'a table is created once, and not at all unless that is asked for',
  'a table that differs from its declaration is refused with every difference',
  'a commit replaces its client and window, and nothing else',
]

const [D1] = CONFORMANCE_DAYS
const TABLE = CONFORMANCE_TABLE

/** Everything that waits in the staging dataset, in the order of its tables. */
async function staged({ ask, send, project }: Area, column: string): Promise<(string | null)[]> {
  const { body } = await send('GET', '/datasets/headrace_staging/tables')
  const { tables = [] }: { readonly tables?: readonly { readonly tableReference: { readonly tableId: string } }[] } = Object(body)
  const names = tables.map(({ tableReference }) => tableReference.tableId).filter(name => /^(rows|stream_rows)_/.test(name))
  const found: (string | null)[] = []
  for (const name of names) {
    const days = name.startsWith('stream_') ? " WHERE headrace_at > TIMESTAMP '2000-01-01'" : ''
    const { rows } = await ask(`SELECT ${column} FROM \`${project}.headrace_staging.${name}\`${days}`)
    found.push(...rows.map(([value = null]) => value))
  }
  return found
}

/** What is staged arrives as it was, whatever it is. */
function valueCases(staging: 'load' | 'insert-all'): EmulatorCase[] {
  return VALUE_CASES.map(({ title, column, values, expected }) => ({
    title: `${staging}: ${title}`,
    run: async ({ url }) => {
      const table = defineTable(
        'conformance.values',
        { client_id: string(), date: date(), value: column },
        { partitionBy: 'date' },
      )
      const area = openArea(url, staging)
      await area.warehouse.prepare(table, { create: true }, undisturbed)
      const rows = values.map(value => ({ client_id: 'a', date: D1, value }))
      await stageDraft(area.warehouse, table, { client: 'a', from: D1, rows })
      const wanted = expected ?? values.map(value => (value === null ? null : String(value)))
      const found = await staged(area, 'value')
      deepEqual(found.map(value => canonical(table, value)).sort(), wanted.map(value => canonical(table, value)).sort())
    },
  }))
}

/** A row that is refused is found, and only it; the others are staged without it. */
function refusedRow(staging: 'load' | 'insert-all'): EmulatorCase {
  return {
    title: `${staging}: of many rows the one that is refused is found, and the others are staged`,
    run: async ({ url }) => {
      const area = openArea(url, staging)
      const { warehouse } = area
      await warehouse.prepare(TABLE, { create: true }, undisturbed)
      const rows = [1, 2, 3, 4, 5].map(clicks => conformanceRow('a', D1, `n${clicks}`, clicks))
      const lines = new Bytes()
      for (const row of rows) warehouse.encoder(TABLE)(row, lines)
      const bytes = Buffer.from(
        lines
          .slice()
          .toString()
          .replace(/"clicks":"?3"?/, '"clicks":"many"'),
      )
      match(bytes.toString(), /many/)
      const attempt = await warehouse.stage(TABLE, randomUUID())
      await attempt.write(bytes, rows.length, D1)
      await rejects(attempt.seal(), error => error instanceof HeadraceError && error.code === 'STAGED_UNREADABLE')
      const { row } = only(await attempt.sift(undisturbed))
      equal(row.name, 'n3')
      await attempt.seal()
      deepEqual((await staged(area, 'name')).sort(), ['n1', 'n2', 'n4', 'n5'])
    },
  }
}

const KIT_CASES: readonly EmulatorCase[] = OF_THE_KIT.map(wanted => {
  const { title, run } = only(WAREHOUSE_CASES.filter(({ title: one }) => one === wanted))
  return { title: `kit: ${title}`, run: ({ url }) => run(async () => openArea(url, 'load')) }
})

/** All of them. */
export const EMULATOR_CASES: readonly EmulatorCase[] = [
  ...KIT_CASES,
  ...valueCases('load'),
  refusedRow('load'),
  {
    title: 'load: a compressed file is read',
    run: async ({ direct }) => {
      const area = openArea(direct, 'load')
      await area.warehouse.prepare(TABLE, { create: true }, undisturbed)
      await stageDraft(area.warehouse, TABLE, { client: 'a', from: D1, rows: [conformanceRow('a', D1, 'x')] })
      deepEqual(await staged(area, 'name'), ['x'])
    },
  },
  ...valueCases('insert-all'),
  refusedRow('insert-all'),
  {
    title: 'jobs: an id that is taken is told so, and nothing runs twice',
    run: async ({ url }) => {
      const { warehouse, project, send, ask } = openArea(url, 'load')
      await warehouse.prepare(TABLE, { create: true }, undisturbed)
      const job = {
        jobReference: { projectId: project, jobId: 'once', location: 'US' },
        configuration: {
          query: {
            query: `INSERT INTO \`${project}.${TABLE.name}\` (client_id, date, name, clicks, cost) VALUES ('a', '${D1}', 'x', 1, 1)`,
            useLegacySql: false,
          },
        },
      }
      equal((await send('POST', '/jobs', job)).status, 200)
      equal((await send('POST', '/jobs', job)).status, 409)
      deepEqual((await ask(`SELECT COUNT(*) FROM \`${project}.${TABLE.name}\` WHERE date = '${D1}'`)).rows, [['1']])
    },
  },
  ...COMMIT_CASES,
]
