import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { addDays } from '../../chunk.ts'
import { warehouseSchema } from '../../table.ts'
import { ServiceError } from '../../warehouse/bigquery/failure.ts'
import { dryRun, type Job, JobFailed, runQuery } from '../../warehouse/bigquery/jobs.ts'
import { loadFile } from '../../warehouse/bigquery/staged-tables.ts'
import type { Publication } from '../../warehouse/warehouse.ts'
import { CONFORMANCE_DAYS, CONFORMANCE_TABLE, CONFORMANCE_TOTALS, conformanceRow } from '../case.ts'
import { publishDrafts, stageDraft, undisturbed } from '../stage.ts'
import type { Scratch, ScratchHost } from './scratch.ts'

/** Something that is believed of the service and that nobody has seen; it is looked at and told, whatever it is. */
export interface Observation {
  readonly point: string
  see(scratch: Scratch): Promise<string>
}

const TABLE = CONFORMANCE_TABLE
const TOTALS = CONFORMANCE_TOTALS
const [D1] = CONFORMANCE_DAYS
const MIB = 2 ** 20

/** Characters of a message that is too long for anything. */
const LONG_MESSAGE = 200_000

/** Scripts that are run at once to see whether one is aborted. */
const AT_ONCE = 4

function onTable(point: string, see: (host: ScratchHost, scratch: Scratch) => Promise<string>): Observation {
  return {
    point,
    see: async scratch => {
      const host = await scratch.host()
      try {
        await host.warehouse.prepare(TABLE, { create: true }, undisturbed)
        return await see(host, scratch)
      } finally {
        await host.close()
      }
    },
  }
}

/** Whether the service accepts something, or what it says when it does not. */
async function answerTo(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'accepted'
  } catch (error) {
    return saidOf(error)
  }
}

function saidOf(error: unknown): string {
  if (!(error instanceof ServiceError)) throw error
  const { reason = 'no reason', status, message } = error
  const detail = error instanceof JobFailed ? error.details.find(one => !one.includes(message)) : undefined
  const more = detail === undefined ? '' : ` (${detail.slice(0, 300)})`
  return `${reason}${status === undefined ? '' : `, ${status}`}: ${message.slice(0, 300)}${more}`
}

/** Whether scripts that are run at once abort each other, and with which words. */
async function collisions(scratch: Scratch, script: (index: number) => string): Promise<string> {
  const all = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => answerTo(scratch.ask(script(index)))))
  const refused = all.filter(answer => answer !== 'accepted')
  const words = refused[0] === undefined ? '' : `; the first refusal is ${refused[0]}`
  return `${AT_ONCE - refused.length} of ${AT_ONCE} at once committed${words}`
}

function transaction(...statements: readonly string[]): string {
  return ['BEGIN TRANSACTION;', ...statements.map(statement => `${statement};`), 'COMMIT TRANSACTION;'].join('\n')
}

function inserted(path: string, client: string, day: string = D1): string {
  return (
    `INSERT INTO ${path} (client_id, date, name, clicks, cost) ` + `VALUES ('${client}', DATE '${day}', 'x', 1, NUMERIC '0.5')`
  )
}

function rowsOf(client: string, rows: number) {
  return Array.from({ length: rows }, (_, index) =>
    conformanceRow(client, D1, `row ${index}`, index, '0.5', 'a note that makes it as wide as most'),
  )
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1_000
}

function billedOf(publications: readonly Publication[]): number {
  return publications.reduce((sum, { cost }) => sum + (cost?.bytesBilled ?? 0), 0)
}

/** Every point that is unverified, in the order of what hangs on it. */
export const OBSERVATIONS: readonly Observation[] = [
  onTable('script variables and @@row_count inside a transaction', async (host, scratch) => {
    const { rows } = await scratch.ask(
      `DECLARE v_rows INT64;\n${transaction(inserted(host.path(TABLE), 'a'), 'SET v_rows = @@row_count')}\nSELECT v_rows AS n;`,
    )
    return `@@row_count is ${rows[0]?.n} after an INSERT of 1 row`
  }),
  {
    point: 'ASSERT inside a transaction',
    see: scratch => answerTo(scratch.ask(transaction("ASSERT 1 = 1 AS 'it holds'"))),
  },
  {
    point: 'how the message of a RAISE is wrapped',
    see: scratch => answerTo(scratch.ask('IF TRUE THEN\n  RAISE USING MESSAGE = \'HR_SEEN [{"member":0}]\';\nEND IF;')),
  },
  {
    point: 'where a long message of a RAISE is cut',
    see: async ({ client }) => {
      const id = `headrace-live-${randomUUID()}`
      const sql = `IF TRUE THEN\n  RAISE USING MESSAGE = '${'x'.repeat(LONG_MESSAGE)}';\nEND IF;`
      const said = await answerTo(runQuery(client, { sql, script: true, id }))
      // From the job itself: headrace keeps only the beginning of a message.
      const { location } = client.settings
      const { body }: { readonly body: Job } = await client.send({ method: 'GET', path: `/jobs/${id}-a1`, query: { location } })
      const kept = /x{10,}/.exec(body.status?.errorResult?.message ?? '')?.[0].length
      return kept === undefined
        ? said.slice(0, 300)
        : `${kept.toLocaleString('en')} of ${LONG_MESSAGE.toLocaleString('en')} characters are kept`
    },
  },
  onTable('what is said to transactions that change one table at once', (host, scratch) => {
    const path = host.path(TABLE)
    return scratch
      .ask(inserted(path, 'a'))
      .then(() =>
        collisions(scratch, () =>
          transaction(`UPDATE ${path} SET clicks = clicks + 1 WHERE client_id = 'a' AND date = DATE '${D1}'`),
        ),
      )
  }),
  onTable('whether a DELETE that finds nothing takes part in conflicts', (host, scratch) => {
    const path = host.path(TABLE)
    return collisions(scratch, index =>
      transaction(`DELETE FROM ${path} WHERE client_id = 'nobody' AND date = DATE '${D1}'`, inserted(path, `c${index}`)),
    )
  }),
  onTable('whether a MERGE that updates one row and inserts others takes part in conflicts', async (host, scratch) => {
    const path = host.path(TABLE)
    await scratch.ask(inserted(path, 'guard'))
    return collisions(scratch, index =>
      transaction(
        `MERGE INTO ${path} AS t USING (SELECT 'guard' AS client_id UNION ALL SELECT 'c${index}') AS s\n` +
          `  ON t.client_id = s.client_id AND t.date = DATE '${D1}'\n` +
          '  WHEN MATCHED THEN UPDATE SET clicks = clicks + 1\n' +
          '  WHEN NOT MATCHED THEN INSERT (client_id, date, name, clicks, cost)\n' +
          `    VALUES (s.client_id, DATE '${D1}', 'x', 1, NUMERIC '0.5')`,
      ),
    )
  }),
  onTable('how long a commit of 1, 10 and 50 chunks takes, and what it bills', async ({ warehouse }) => {
    const seen: string[] = []
    for (const [round, chunks] of [1, 10, 50].entries()) {
      const from = addDays(D1, round)
      const drafts = Array.from({ length: chunks }, (_, index) => `c${index}`).map(client => ({
        client,
        from,
        totals: TOTALS,
        rows: [conformanceRow(client, from, 'x')],
      }))
      const members = await Promise.all(drafts.map(draft => stageDraft(warehouse, TABLE, draft)))
      let publications: readonly Publication[] = []
      const seconds = await secondsOf(async () => {
        publications = await warehouse.commit(TABLE, TOTALS, members, undisturbed)
      })
      seen.push(`${chunks}: ${seconds.toFixed(1)} s, ${Math.round(billedOf(publications) / MIB)} MiB`)
    }
    return seen.join('; ')
  }),
  onTable('how long staging of 5,000 and 100,000 rows takes', async ({ warehouse }) => {
    const seen: string[] = []
    for (const rows of [5_000, 5_000, 5_000, 100_000]) {
      const draft = { client: 'a', from: D1, rows: rowsOf('a', rows) }
      seen.push(`${rows.toLocaleString('en')}: ${(await secondsOf(() => stageDraft(warehouse, TABLE, draft))).toFixed(1)} s`)
    }
    return seen.join('; ')
  }),
  onTable('what a DELETE of one of two clients bills, and whether IN UNNEST leaves out the other', async (host, scratch) => {
    const path = host.path(TABLE)
    await publishDrafts(
      host.warehouse,
      TABLE,
      [],
      ['a', 'b'].map(client => ({ client, from: D1, rows: rowsOf(client, 100_000) })),
    )
    const day = await dryRun(scratch.client, { sql: `SELECT * FROM ${path} WHERE date = DATE '${D1}'` })
    const where = `client_id IN UNNEST(['a']) AND date = DATE '${D1}'`
    const told = await dryRun(scratch.client, { sql: `DELETE FROM ${path} WHERE ${where}` })
    const { job } = await scratch.ask(`DELETE FROM ${path} WHERE ${where}`)
    const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`
    const billed = Number(job.statistics?.query?.totalBytesBilled ?? 0)
    return `the day has ${mib(day)}; a dry run says ${mib(told)}; ${mib(billed)} were billed`
  }),
  onTable('what insertAll says to unknown and to missing fields', async (host, { client, dataset }) => {
    const table = /\.([^.`]+)`$/.exec(host.path(TABLE))?.[1]
    const path = `/datasets/${dataset}/tables/${table}/insertAll`
    const row = { client_id: 'a', date: D1, clicks: 1, cost: '0.5' }
    const rows = [{ json: { ...row, name: 'x', other: 1 } }, { json: row }]
    const { body } = await client.send({ method: 'POST', path, json: { skipInvalidRows: true, rows } })
    return JSON.stringify(body.insertErrors ?? 'both were accepted').slice(0, 500)
  }),
  onTable('whether a load rounds or refuses a NUMERIC with ten decimals', async (host, { client, dataset }) => {
    const file = join(tmpdir(), `headrace-live-${process.pid}.json.gz`)
    const row = { client_id: 'a', date: D1, name: 'x', clicks: 1, cost: '0.1234567891', note: null }
    const table = /\.([^.`]+)`$/.exec(host.path(TABLE))?.[1] ?? ''
    await writeFile(file, gzipSync(`${JSON.stringify(row)}\n`))
    try {
      const id = { project: await client.project(), dataset, table: `${table}_decimals` }
      return await answerTo(loadFile(client, id, warehouseSchema(TABLE), file))
    } finally {
      await rm(file, { force: true })
    }
  }),
  { point: 'a job id that is used again after some weeks', see: async () => 'not looked at: it takes weeks' },
  { point: 'how many staged tables one query may name', see: async () => 'not looked at: it takes a thousand tables' },
  { point: 'messages of credentials that have expired', see: async () => 'not looked at: these have not' },
]
