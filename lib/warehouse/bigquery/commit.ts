import { createHash } from 'node:crypto'
import { DataError } from '../../errors.ts'
import type { Table } from '../../table.ts'
import type { Cost, DayChange, DayCount, Member, Publication } from '../warehouse.ts'
import type { Client } from './client.ts'
import { failure } from './failure.ts'
import { type Ran, type ResultRow, resultRows, runQuery } from './jobs.ts'
import { namesOf } from './names.ts'
import { refusal } from './refusal.ts'
import { commitScript, type Script } from './script.ts'
import { type StagedAttempt, stagedAs } from './staging.ts'

/** Longest text of a script, and largest body of a request, that BigQuery takes; with some room. */
const MOST_SQL = 1_000_000
const MOST_PARAMETERS = 9_000_000

const ROLLED_BACK = 'Rolled back: the table is as it was.'

/** Publishes the members of a group in one transaction. See `Warehouse.commit`. */
export async function commitGroup(
  client: Client,
  table: Table,
  totals: readonly string[],
  members: readonly Member[],
): Promise<Publication[]> {
  const staged = members.map(({ receipt }) => stagedAs(receipt))
  const names = namesOf(await client.project(), table)
  const script = commitScript({ table, names, totals, members, sources: staged })
  mustFit(table, script, members)
  try {
    const hash = createHash('sha256').update(JSON.stringify(script)).digest('hex').slice(0, 40)
    const ran = await runQuery(client, { ...script, id: `headrace-commit-${hash}`, script: true })
    const rows = await Array.fromAsync(resultRows(client, ran.jobId))
    return publications(members, totals, rows, costs(ran, staged))
  } catch (error) {
    throw refusal(table, totals, members, error) ?? failure(table.name, error, ROLLED_BACK)
  }
}

function mustFit(table: Table, { sql, parameters }: Script, members: readonly Member[]): void {
  const bytes = Buffer.byteLength(JSON.stringify(parameters))
  if (sql.length <= MOST_SQL && bytes <= MOST_PARAMETERS) return
  throw new DataError('WAREHOUSE_CEILING', {
    message: `${table.name}: a commit of ${members.length} chunks has ${sql.length} characters and ${bytes} bytes of parameters`,
    hint: 'Nothing was published. Lower groupChunks, or use shorter windows.',
  })
}

/** What a group cost, shared among its members so that all of them together are the whole. */
function costs({ job, jobs }: Ran, staged: readonly StagedAttempt[]): Cost[] {
  const { query, totalSlotMs } = job.statistics ?? {}
  const share = (whole: number, index: number): number =>
    Math.floor((whole * (index + 1)) / staged.length) - Math.floor((whole * index) / staged.length)
  const bytes = Number(query?.totalBytesBilled ?? 0)
  const slotMs = Number(totalSlotMs ?? query?.totalSlotMs ?? 0)
  return staged.map((attempt, index) => ({
    jobs: attempt.jobs + share(jobs, index),
    bytesBilled: share(bytes, index),
    slotMs: share(slotMs, index),
  }))
}

function publications(
  members: readonly Member[],
  totals: readonly string[],
  rows: readonly ResultRow[],
  cost: readonly Cost[],
): Publication[] {
  const byMember = Map.groupBy(rows, ({ member }) => Number(member))
  return members.map((member, index) => {
    const mine = Map.groupBy(byMember.get(index) ?? [], ({ kind }) => kind)
    const [own] = mine.get('member') ?? []
    if (own === undefined) throw new Error(`BigQuery forgot attempt ${member.attemptId}`)
    const published = own.a === '1'
    const changes = (mine.get('change') ?? []).map(changeOf)
    const share = cost[index]
    return {
      attemptId: member.attemptId,
      outcome: published ? 'published' : member.intent === 'rejects' ? 'rejects' : 'unchanged',
      deleted: Number(own.b),
      inserted: published ? member.days.reduce((sum, { rows: count }) => sum + count, 0) : 0,
      present: (mine.get('present') ?? []).map(row => countOf(member.chunk.client, row, totals)).sort(byDay),
      changes: member.restated.map(day => changes.find(change => change.day === day) ?? { day, added: 0, removed: 0 }),
      ...(share === undefined ? {} : { cost: share }),
    }
  })
}

function byDay(a: DayCount, b: DayCount): number {
  return a.day < b.day ? -1 : a.day > b.day ? 1 : 0
}

function changeOf({ day, a, b }: ResultRow): DayChange {
  return { day: String(day), added: Number(a), removed: Number(b) }
}

function countOf(client: string, row: ResultRow, totals: readonly string[]): DayCount {
  return {
    client,
    day: String(row.day),
    rows: Number(row.a),
    totals: Object.fromEntries(totals.map((column, index) => [column, String(row[`total_${index}`])])),
  }
}
