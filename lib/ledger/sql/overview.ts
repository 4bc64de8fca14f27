import type { Day, Window } from '../../chunk.ts'
import type { RunProgress } from '../ledger.ts'
import type { CalendarDay, ExtentUpTo, LedgerOverview, Undone } from '../overview.ts'
import type { BlockedChunk, Edge } from '../served.ts'
import type { LedgerContext, Queries, SqlRow } from './database.ts'
import { progressOf } from './reader.ts'
import { blockedChunk, waitingFor } from './served.ts'

/** All clients, or the one that is given; with the values for it. */
function only(client: string | undefined): readonly [sql: string, ...values: string[]] {
  return client === undefined ? [''] : [' AND client = ?', client]
}

/** How the published days of a pipeline lie. */
async function extentsUpTo(db: Queries, pipeline: string, through: Day, client?: string): Promise<ExtentUpTo[]> {
  const [one, ...values] = only(client)
  const upTo = (value: string): string => `CASE WHEN day <= ? THEN ${value} END`
  const rows = await db.all(
    'SELECT client, min(day) AS first_day, max(day) AS last_day, count(*) AS days, ' +
      `count(${upTo('day')}) AS days_up_to, max(${upTo('published_at')}) AS published_at, ` +
      'count(CASE WHEN day <= ? AND doubted_by IS NOT NULL THEN day END) AS doubtful, ' +
      `min(CASE WHEN day <= ? AND doubted_by IS NOT NULL THEN day END) AS doubtful_from FROM day WHERE pipeline = ?${one} GROUP BY client`,
    ...Array(4).fill(through),
    pipeline,
    ...values,
  )
  return rows.map(extent)
}

function extent(row: SqlRow): ExtentUpTo {
  return {
    client: String(row.client),
    first: String(row.first_day),
    last: String(row.last_day),
    days: Number(row.days),
    upTo: {
      days: Number(row.days_up_to),
      doubtful: Number(row.doubtful),
      doubtfulFrom: row.doubtful_from === null ? null : String(row.doubtful_from),
      publishedAt: row.published_at === null ? null : Number(row.published_at),
    },
  }
}

/** The published days of a pipeline by client, oldest first; one text for each client, because rows cost more than days. */
async function publishedDays(db: Queries, pipeline: string, client?: string): Promise<Map<string, Day[]>> {
  const [one, ...values] = only(client)
  const rows = await db.all(
    `SELECT client, string_agg(day, ',' ORDER BY day) AS days FROM day WHERE pipeline = ?${one} GROUP BY client`,
    pipeline,
    ...values,
  )
  return new Map(rows.map(row => [String(row.client), String(row.days).split(',')]))
}

/** What was asked for and is not done, by client. */
async function undone(db: Queries, pipeline: string): Promise<Map<string, Undone>> {
  const rows = await db.all(
    "SELECT client, min(window_from) AS undone_from, min(CASE WHEN state IN ('pending', 'running', 'staged') THEN window_from END) AS open_from " +
      "FROM chunk WHERE pipeline = ? AND state NOT IN ('published', 'unchanged') GROUP BY client",
    pipeline,
  )
  return new Map(
    rows.map(row => [
      String(row.client),
      { from: String(row.undone_from), openFrom: row.open_from === null ? null : String(row.open_from) },
    ]),
  )
}

/** The published days of a pipeline within a window. */
async function calendar(db: Queries, pipeline: string, { from, to }: Window): Promise<CalendarDay[]> {
  const sql = 'SELECT client, day, rows, doubted_by FROM day WHERE pipeline = ? AND day BETWEEN ? AND ? ORDER BY client, day'
  return (await db.all(sql, pipeline, from, to)).map(row => ({
    client: String(row.client),
    day: String(row.day),
    rows: Number(row.rows),
    doubtful: row.doubted_by !== null,
  }))
}

/** The run that has last published days of a client up to a day. */
async function publishedBy(db: Queries, pipeline: string, client: string, through: Day): Promise<string | null> {
  const row = await db.get(
    'SELECT a.run_id FROM day d JOIN attempt a ON a.attempt_id = d.attempt_id WHERE d.pipeline = ? AND d.client = ? AND d.day <= ? ' +
      'ORDER BY d.published_at DESC, a.generation DESC LIMIT 1',
    pipeline,
    client,
    through,
  )
  return row === undefined ? null : String(row.run_id)
}

/** Chunks of the runs that are not finished: of those that are served, or of the others. */
async function openProgress(db: Queries, served: boolean): Promise<Map<string, RunProgress>> {
  const rows = await db.all(
    // SQLite keeps the order of a cross join: the few runs first, and then their chunks.
    'SELECT c.pipeline, c.state, count(*) AS chunks FROM run r CROSS JOIN chunk c ' +
      'WHERE r.finished_at IS NULL AND c.run_id = r.run_id AND c.served = ? GROUP BY c.pipeline, c.state',
    served ? 1 : 0,
  )
  const byPipeline = Map.groupBy(rows, ({ pipeline }) => String(pipeline))
  return new Map([...byPipeline].map(([pipeline, states]) => [pipeline, progressOf(states)]))
}

/** Chunks that wait for those before them. */
async function blocked(db: Queries, pipeline: string, after: readonly Edge[], limit: number): Promise<BlockedChunk[]> {
  const found: BlockedChunk[] = []
  for (const edge of after) {
    for (const row of await waitingFor(db, pipeline, edge, { stuck: false, limit: limit - found.length })) {
      found.push(await blockedChunk(db, row, edge.pipeline))
    }
  }
  return found
}

/** What is read of many clients at once. */
export function overview({ db }: LedgerContext): LedgerOverview {
  return {
    extentsUpTo: (pipeline, through, client) => extentsUpTo(db, pipeline, through, client),
    publishedDays: (pipeline, client) => publishedDays(db, pipeline, client),
    undone: pipeline => undone(db, pipeline),
    openProgress: served => openProgress(db, served),
    blocked: (pipeline, after, limit) => blocked(db, pipeline, after, limit),
    calendar: (pipeline, window) => calendar(db, pipeline, window),
    publishedBy: (pipeline, client, through) => publishedBy(db, pipeline, client, through),
  }
}
