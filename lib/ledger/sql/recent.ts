import { setImmediate } from 'node:timers/promises'
import { addDays, type Day } from '../../chunk.ts'
import type { PublishedDay, Restatement } from '../ledger.ts'
import type { PublishedChunk, Recent } from '../reader.ts'
import type { Queries, SqlRow } from './database.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Days that are looked at at a time. */
const SLICE_DAYS = 7

const LAST_DAY = '9999-12-31'

/** What is known of a pipeline since a day. */
export async function recent(db: Queries, pipeline: string, since: Day, now: number): Promise<Recent> {
  const sinceMs = Date.parse(since)
  const days = await sliced(since, now, async (from, to) => {
    const sql = 'SELECT * FROM day WHERE pipeline = ? AND day BETWEEN ? AND ? ORDER BY day, client'
    return (await db.all(sql, pipeline, from, to)).map(publishedDay)
  })
  const chunks = await sliced(since, now, async (from, to) => {
    const sql =
      'SELECT client, window_from, window_to, staged, finished_at, columns, source_totals FROM attempt WHERE pipeline = ? ' +
      "AND finished_at >= ? AND finished_at < ? AND window_to >= ? AND outcome IN ('published', 'unchanged') ORDER BY generation"
    return (await db.all(sql, pipeline, Date.parse(from), Date.parse(to) + DAY_MS, since)).map(publishedChunk)
  })
  const restated = await db.all(
    'SELECT * FROM restatement WHERE pipeline = ? AND at >= ? ORDER BY at DESC, client, day',
    pipeline,
    sinceMs,
  )
  const month = Date.parse(`${new Date(now).toISOString().slice(0, 7)}-01`)
  const billed = await db.get(
    'SELECT sum(CASE WHEN finished_at > ? THEN bytes_billed ELSE 0 END) AS day, sum(CASE WHEN finished_at >= ? THEN bytes_billed ELSE 0 END) AS month ' +
      'FROM attempt WHERE pipeline = ? AND finished_at >= ?',
    now - DAY_MS,
    month,
    pipeline,
    Math.min(month, now - DAY_MS),
  )
  const told = await db.all(
    "SELECT quotas FROM attempt WHERE pipeline = ? AND finished_at > ? AND quotas <> '{}'",
    pipeline,
    now - HOUR_MS,
  )
  return {
    days,
    chunks,
    restatements: restated.map(restatement),
    bytesBilled: { day: Number(billed?.day ?? 0), month: Number(billed?.month ?? 0) },
    quotas: lowest(told.map(({ quotas }) => JSON.parse(String(quotas)))),
  }
}

/**
 * What is found of some days after the other, of the last ones without an end. Others work in between: all at once would keep a daemon of a thousand
 * clients from everything else for a second.
 */
async function sliced<T>(since: Day, now: number, find: (from: Day, to: Day) => Promise<readonly T[]>): Promise<T[]> {
  const found: T[] = []
  for (let from = since; ; from = addDays(from, SLICE_DAYS)) {
    const to = addDays(from, SLICE_DAYS - 1)
    const isLast = Date.parse(to) >= now
    for (const one of await find(from, isLast ? LAST_DAY : to)) found.push(one)
    if (isLast) return found
    await setImmediate()
  }
}

/** The least share of each quota. */
function lowest(told: readonly Readonly<Record<string, number>>[]): Map<string, number> {
  const quotas = new Map<string, number>()
  for (const [name, left] of told.flatMap(Object.entries<number>)) quotas.set(name, Math.min(left, quotas.get(name) ?? left))
  return quotas
}

function publishedChunk(row: SqlRow): PublishedChunk {
  return {
    client: String(row.client),
    from: String(row.window_from),
    to: String(row.window_to),
    rows: Number(row.staged),
    finishedAt: Number(row.finished_at),
    columns: JSON.parse(String(row.columns)),
    sourceTotals: JSON.parse(String(row.source_totals)),
  }
}

/** A row of the table of published days. */
export function publishedDay(row: SqlRow): PublishedDay {
  return {
    client: String(row.client),
    day: String(row.day),
    rows: Number(row.rows),
    rejected: Number(row.rejected),
    fingerprint: String(row.fingerprint),
    totals: JSON.parse(String(row.totals)),
    attemptId: String(row.attempt_id),
    publishedAt: Number(row.published_at),
    readAt: Math.max(Number(row.published_at), Number(row.confirmed_at)),
    doubtful: row.doubted_by !== null,
  }
}

/** A row of the table of restatements. */
export function restatement(row: SqlRow): Restatement {
  return {
    pipeline: String(row.pipeline),
    client: String(row.client),
    day: String(row.day),
    added: Number(row.added),
    removed: Number(row.removed),
    rowsBefore: Number(row.rows_before),
    rowsAfter: Number(row.rows_after),
    totalsBefore: JSON.parse(String(row.totals_before)),
    totalsAfter: JSON.parse(String(row.totals_after)),
    at: Number(row.at),
  }
}
