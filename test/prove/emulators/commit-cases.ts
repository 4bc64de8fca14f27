import { deepEqual, equal, ok } from 'node:assert/strict'
import { sameDecimal } from '../../../lib/decimal.ts'
import {
  CONFORMANCE_DAYS,
  CONFORMANCE_TABLE,
  CONFORMANCE_TOTALS,
  conformanceReject,
  conformanceRow,
  shown,
} from '../../../lib/testing/case.ts'
import { stageDraft, undisturbed } from '../../../lib/testing/stage.ts'
import { namesOf, tablePath } from '../../../lib/warehouse/bigquery/names.ts'
import { type QueryParameter, structs } from '../../../lib/warehouse/bigquery/parameters.ts'
import { commitScript, type StagedSource } from '../../../lib/warehouse/bigquery/script.ts'
import type { Member } from '../../../lib/warehouse/warehouse.ts'
import { takeApart } from '../script.ts'
import { type Answer, type Area, openArea } from './area.ts'
import type { EmulatorCase } from './cases.ts'

const TABLE = CONFORMANCE_TABLE
const TOTALS = CONFORMANCE_TOTALS
const [D1, D2, D3] = CONFORMANCE_DAYS

/** A commit that is taken through its statements one by one: as they are sent, each as a job of its own, with the variables as parameters. */
interface Commit {
  readonly area: Area
  /** Runs the statements that match, in their order. */
  run(pattern: RegExp, parameters?: readonly QueryParameter[]): Promise<Answer[]>
}

/** Clients `a` and `b` hold three days; staged are two days of `a` with a reject, and two days of `b`, of which one is empty. */
async function open(url: string): Promise<Commit> {
  const area = openArea(url, 'load')
  const { warehouse, project, ask } = area
  await warehouse.prepare(TABLE, { create: true }, undisturbed)
  const values = ['a', 'b'].flatMap(client => [D1, D2, D3].map(day => `('${client}', '${day}', 'old', 1, 0.5)`))
  await ask(`INSERT INTO \`${project}.${TABLE.name}\` (client_id, date, name, clicks, cost) VALUES ${values.join(', ')}`)
  const members: Member[] = [
    await stageDraft(warehouse, TABLE, {
      client: 'a',
      from: D1,
      to: D2,
      totals: TOTALS,
      rows: [conformanceRow('a', D1, 'new', 2, '0.1'), conformanceRow('a', D2, 'new', 3, '0.2', 'it\'s "so"\n')],
      rejects: [conformanceReject(D1, { id: 1, text: 'it\'s "so"\n' })],
    }),
    await stageDraft(warehouse, TABLE, {
      client: 'b',
      from: D2,
      to: D3,
      totals: TOTALS,
      rows: [conformanceRow('b', D3, 'new', 4)],
    }),
  ]
  const sources = await Promise.all(members.map(member => sourceOf(area, member)))
  const names = namesOf(project, TABLE)
  const { sql, parameters } = commitScript({ table: TABLE, names, totals: TOTALS, members, sources })
  const variables = [
    {
      name: 'v_publish',
      parameterType: { type: 'ARRAY', arrayType: { type: 'INT64' } },
      parameterValue: { arrayValues: [{ value: '0' }, { value: '1' }] },
    },
    structs('v_before', { member: 'INT64', n: 'INT64' }, [
      { member: 0, n: 2 },
      { member: 1, n: 2 },
    ]),
  ]
  const { parts } = takeApart(sql)
  const run: Commit['run'] = async (pattern, other = []) => {
    const answers: Answer[] = []
    for (const { sql: statement } of parts.filter(part => pattern.test(part.sql))) {
      const known = [...other, ...parameters, ...variables]
      const used = known.filter(
        ({ name }, index) => statement.includes(`@${name}`) && known.findIndex(one => one.name === name) === index,
      )
      // A check is the subquery of an assignment; alone it is a plain query.
      answers.push(await ask(statement.replace(/^SELECT AS STRUCT/, 'SELECT'), used))
    }
    ok(answers.length > 0, `no statement matches ${pattern}`)
    return answers
  }
  return { area, run }
}

/** Where the staged rows and rejects of a member are. */
async function sourceOf({ project, send }: Area, { attemptId }: Member): Promise<StagedSource> {
  const { body } = await send('GET', '/datasets/headrace_staging/tables')
  const { tables = [] }: { readonly tables?: readonly { readonly tableReference: { readonly tableId: string } }[] } = Object(body)
  const path = (kind: string): string | undefined => {
    const begin = `${kind}_${attemptId.replaceAll('-', '_')}`
    const table = tables.map(({ tableReference }) => tableReference.tableId).find(name => name.startsWith(begin))
    return table === undefined ? undefined : tablePath({ project, dataset: 'headrace_staging', table })
  }
  return { rows: path('rows'), rejects: path('rejects') }
}

const TARGET = /^(DELETE FROM|INSERT INTO) `[^`]*\.daily`/
const CHECK = /^SELECT AS STRUCT COUNT\(\*\)/

const AFTER = [`a ${D1} new 2 0.1`, `a ${D2} new 3 0.2`, `a ${D3} old 1 0.5`, `b ${D1} old 1 0.5`, `b ${D3} new 4 0.5`]

const FENCED = /^SELECT AS STRUCT COUNT\(\*\).*generation > m\.generation/s

/** The number of findings of a check. */
function findings({ rows }: Answer): string | null | undefined {
  return rows[0]?.[0]
}

/** Removes the rows of a day of client `a`, which nobody expects. */
async function remove({ project, ask }: Area, day: string): Promise<void> {
  await ask(`DELETE FROM \`${project}.${TABLE.name}\` WHERE client_id = 'a' AND date = '${day}'`)
}

/** What the transaction does, without the transaction. */
export const COMMIT_CASES: readonly EmulatorCase[] = [
  {
    title: 'commit: DELETE and INSERT replace exactly the clients and days of the group',
    run: async ({ url }) => {
      const { area, run } = await open(url)
      const [deleted, inserted] = await run(TARGET)
      deepEqual([deleted?.changed, inserted?.changed], ['4', '3'])
      deepEqual(await shown(area), AFTER)
      const [again, inserts] = await run(TARGET)
      deepEqual([again?.changed, inserts?.changed], ['3', '3'])
      deepEqual(await shown(area), AFTER)
    },
  },
  {
    title: 'commit: rows, totals and clients are read back exactly',
    run: async ({ url }) => {
      const { area, run } = await open(url)
      await run(TARGET)
      deepEqual(await area.warehouse.clients(TABLE, undisturbed), ['a', 'b'])
      const counts = await area.warehouse.recount(TABLE, TOTALS, ['a'], undisturbed)
      deepEqual(
        counts.map(({ day, rows }) => [day, rows]),
        [D1, D2, D3].map(day => [day, 1]),
      )
      for (const [index, { totals }] of counts.entries()) {
        ok(sameDecimal(totals.clicks ?? '', ['2', '3', '1'][index] ?? ''), totals.clicks)
        ok(sameDecimal(totals.cost ?? '', ['0.1', '0.2', '0.5'][index] ?? ''), totals.cost)
      }
    },
  },
  {
    title: 'commit: the checks find nothing where all is well, and a row that is missing',
    run: async ({ url }) => {
      const { area, run } = await open(url)
      await run(TARGET)
      deepEqual((await run(CHECK)).map(findings), ['0', '0'])
      await remove(area, D1)
      deepEqual((await run(CHECK)).map(findings), ['0', '1'])
    },
  },
  {
    title: 'commit: a check names what it found',
    run: async ({ url }) => {
      const { area, run } = await open(url)
      await run(TARGET)
      await remove(area, D1)
      const { rows = [] } = (await run(CHECK))[1] ?? {}
      const [finding] = JSON.parse(rows[0]?.[1] ?? '')
      deepEqual([Number(finding.member), finding.day, Number(finding.want), Number(finding.got)], [0, D1, 1, 0])
    },
  },
  {
    title: 'commit: the fence is raised for every day, and stops an older attempt',
    run: async ({ url }) => {
      const { area, run } = await open(url)
      await run(/^MERGE/)
      const slices = `\`${area.project}.${TABLE.name}_slices\``
      const { rows } = await area.ask(`SELECT client_id, CAST(day AS STRING), \`rows\` FROM ${slices} ORDER BY 1, 2`)
      equal(rows.length, 5)
      deepEqual(rows.slice(0, 4), [
        ['a', D1, '1'],
        ['a', D2, '1'],
        ['b', D2, '0'],
        ['b', D3, '1'],
      ])
      deepEqual((await run(FENCED)).map(findings), ['0'])
      await area.ask(`UPDATE ${slices} SET generation = 9999999999999 WHERE client_id = 'b' AND day IS NOT NULL`)
      deepEqual((await run(FENCED)).map(findings), ['1'])
    },
  },
  {
    title: 'commit: rejects are replaced and read',
    run: async ({ url }) => {
      const { area, run } = await open(url)
      const statements = /^(DELETE FROM|INSERT INTO) `[^`]*\.daily_rejects`/
      await run(statements)
      await run(statements)
      const found = await area.warehouse.rejects(TABLE, { limit: 5, clients: ['a'] }, undisturbed)
      deepEqual(
        found.map(({ client, day, column, rule, value, held, record }) => [
          client,
          day,
          column,
          rule,
          value,
          held,
          JSON.parse(record),
        ]),
        [['a', D1, 'clicks', 'type', '"x"', false, { id: 1, text: 'it\'s "so"\n' }]],
      )
    },
  },
  {
    title: 'commit: the report tells what every member did, and what is there now',
    run: async ({ url }) => {
      const { run } = await open(url)
      await run(TARGET)
      const [report] = await run(/^SELECT 'member' AS kind/)
      deepEqual(report?.columns, ['kind', 'member', 'day', 'a', 'b', 'total_0', 'total_1'])
      const found = report?.rows.map(([kind, member, day, a, b, clicks]) => [kind, member, day, a, b, Number(clicks)].join(' '))
      deepEqual(found?.sort(), [
        'member 0  1 2 0',
        'member 1  1 2 0',
        `present 0 ${D1} 1 0 2`,
        `present 0 ${D2} 1 0 3`,
        `present 1 ${D3} 1 0 4`,
      ])
    },
  },
]
