import { daysOf, type Window } from '../../chunk.ts'
import type { ErrorCode } from '../../errors.ts'
import type { ChunkRecord, PublishedDay, Restatement, Run, RunProgress, RunRequest, RunTotals, StateTotals } from '../ledger.ts'
import type { Priority } from '../pace.ts'
import type { Extent, LedgerReader } from '../reader.ts'
import type { Occasion } from '../served.ts'
import { CHUNK_STATES, type ChunkState, PROBLEM_STATES, sqlList } from '../states.ts'
import type { LedgerContext, Queries, SqlRow } from './database.ts'
import { history } from './history.ts'
import { publishedDay, recent, restatement } from './recent.ts'
import { drifts, knownShape } from './shapes.ts'

/** A request as text; the order of its clients means nothing, and neither does the API behind them. */
export function requestText({ api: _, ...request }: RunRequest): string {
  return JSON.stringify({ ...request, clients: [...request.clients].sort() })
}

/** The unfinished run of a request. */
export async function openRun(db: Queries, request: RunRequest): Promise<Run | undefined> {
  // By the pipeline too, which is indexed: a request that names many clients is too long for that.
  const sql = 'SELECT run_id, started_at FROM run WHERE pipeline = ? AND request = ? AND finished_at IS NULL'
  const row = await db.get(sql, request.pipeline, requestText(request))
  return row === undefined ? undefined : { id: String(row.run_id), resumed: true, startedAt: Number(row.started_at) }
}

/** The newest answered occasion of each schedule and client. */
export async function answeredOccasions(db: Queries, pipeline: string): Promise<Occasion[]> {
  const rows = await db.all('SELECT schedule, client, at FROM occasion WHERE pipeline = ?', pipeline)
  return rows.map(({ schedule, client, at }) => ({ schedule: String(schedule), client: String(client), at: Number(at) }))
}

/** Windows that will be read without anybody's doing more. */
async function waiting(db: Queries, pipeline: string) {
  const rows = await db.all(
    "SELECT client, window_from, window_to, priority FROM chunk WHERE pipeline = ? AND served = 1 AND state IN ('pending', 'parked')",
    pipeline,
  )
  return rows.map(row => ({
    client: String(row.client),
    window: { from: String(row.window_from), to: String(row.window_to) },
    priority: row.priority as Priority,
  }))
}

/** Chunks of a run that are not settled. */
async function chunksLeft(db: Queries, runId: string): Promise<ChunkRecord[]> {
  const rows = await db.all(
    "SELECT * FROM chunk WHERE run_id = ? AND state NOT IN ('published', 'unchanged') ORDER BY window_from, client",
    runId,
  )
  return rows.map(chunkRecord)
}

/** How many chunks of a run are in each state. */
export async function progress(db: Queries, runId: string): Promise<RunProgress> {
  return progressOf(await db.all('SELECT state, count(*) AS chunks FROM chunk WHERE run_id = ? GROUP BY state', runId))
}

/** Numbers of chunks by state. */
export function progressOf(rows: readonly SqlRow[]): RunProgress {
  const counts = Object.fromEntries(CHUNK_STATES.map(state => [state, 0])) as Record<ChunkState, number>
  for (const { state, chunks } of rows) counts[state as ChunkState] = Number(chunks)
  return counts
}

const SUMS = ['extracted', 'staged', 'rejected', 'deduplicated', 'inserted', 'deleted'] as const

/** Where the records of a run went. */
async function totals(db: Queries, runId: string): Promise<RunTotals> {
  const rows = await db.all(
    `SELECT state, count(*) AS chunks, ${SUMS.map(name => `coalesce(sum(1.0 * a.${name}), 0) AS ${name}`).join(', ')}, ` +
      'sum(CASE WHEN a.staged = 0 THEN 1 ELSE 0 END) AS empty ' +
      'FROM chunk c LEFT JOIN attempt a ON a.attempt_id = c.attempt_id WHERE c.run_id = ? GROUP BY state',
    runId,
  )
  const restated = await db.get(
    'SELECT count(*) AS days FROM attempt a JOIN restatement r ON r.attempt_id = a.attempt_id AND r.pipeline = a.pipeline ' +
      'AND r.client = a.client AND r.day BETWEEN a.window_from AND a.window_to WHERE a.run_id = ?',
    runId,
  )
  const done = rows.filter(({ state }) => state === 'published' || state === 'unchanged')
  return {
    states: Object.fromEntries(rows.map(row => [String(row.state), stateTotals(row)])),
    emptyChunks: done.reduce((sum, { empty }) => sum + Number(empty), 0),
    restatedDays: Number(restated?.days),
  }
}

function stateTotals(row: SqlRow): StateTotals {
  return {
    chunks: Number(row.chunks),
    extracted: Number(row.extracted),
    staged: Number(row.staged),
    rejected: Number(row.rejected),
    deduplicated: Number(row.deduplicated),
    inserted: Number(row.inserted),
    deleted: Number(row.deleted),
  }
}

/** Published days of one client within a window. */
async function days(db: Queries, pipeline: string, client: string, window: Window): Promise<PublishedDay[]> {
  const rows = await db.all(
    'SELECT * FROM day WHERE pipeline = ? AND client = ? AND day BETWEEN ? AND ? ORDER BY day',
    pipeline,
    client,
    window.from,
    window.to,
  )
  return rows.map(publishedDay)
}

/** How the published days of each client lie. */
async function extents(db: Queries, pipeline: string): Promise<Extent[]> {
  const rows = await db.all(
    'SELECT client, min(day) AS first, max(day) AS last, count(*) - count(doubted_by) AS certain FROM day WHERE pipeline = ? GROUP BY client',
    pipeline,
  )
  return rows.map(({ client, first, last, certain }) => ({
    client: String(client),
    first: String(first),
    last: String(last),
    certainDays: Number(certain),
  }))
}

/** All published days of one client. */
async function allDays(db: Queries, pipeline: string, client: string): Promise<PublishedDay[]> {
  return (await db.all('SELECT * FROM day WHERE pipeline = ? AND client = ? ORDER BY day', pipeline, client)).map(publishedDay)
}

/** Clients with published days or known chunks. Every chunk that is published has published days. */
async function clients(db: Queries, pipeline: string): Promise<string[]> {
  const rows = await db.all(
    'SELECT client FROM day WHERE pipeline = ? ' +
      "UNION SELECT client FROM chunk WHERE pipeline = ? AND state NOT IN ('published', 'unchanged') ORDER BY 1",
    pipeline,
    pipeline,
  )
  return rows.map(row => String(row.client))
}

/** Chunks that need somebody, newest first. */
async function problems(db: Queries, pipeline: string, runId: string | undefined, limit: number): Promise<ChunkRecord[]> {
  const rows = await db.all(
    'SELECT c.*, a.generation FROM chunk c JOIN attempt a ON a.attempt_id = c.attempt_id WHERE c.pipeline = ? ' +
      `AND c.run_id = coalesce(?, c.run_id) AND c.state IN (${sqlList(PROBLEM_STATES)}) ORDER BY a.generation DESC`,
    pipeline,
    runId ?? null,
  )
  // Of several runs that failed at the same chunk, the newest says what is wrong now.
  const seen = new Set<string>()
  const found: ChunkRecord[] = []
  for (const row of rows) {
    const id = JSON.stringify([row.client, row.window_from, row.window_to])
    if (!seen.has(id) && !(await isOver(db, row))) found.push(chunkRecord(row))
    if (found.length === limit) break
    seen.add(id)
  }
  return found
}

/** Whether every day of a chunk was published, or found unchanged, by a later attempt. */
async function isOver(db: Queries, { pipeline, client, window_from, window_to, generation }: SqlRow): Promise<boolean> {
  const later = await db.all(
    "SELECT window_from, window_to FROM attempt WHERE pipeline = ? AND client = ? AND outcome IN ('published', 'unchanged') " +
      'AND window_from <= ? AND window_to >= ? AND generation > ?',
    String(pipeline),
    String(client),
    String(window_to),
    String(window_from),
    Number(generation),
  )
  return daysOf({ from: String(window_from), to: String(window_to) }).every(day =>
    later.some(window => String(window.window_from) <= day && day <= String(window.window_to)),
  )
}

/** Restated days, newest first. */
async function restatements(db: Queries, pipeline: string, limit: number): Promise<Restatement[]> {
  const rows = await db.all('SELECT * FROM restatement WHERE pipeline = ? ORDER BY at DESC, client, day LIMIT ?', pipeline, limit)
  return rows.map(restatement)
}

/** When a run last finished. */
async function lastFinished(db: Queries, pipeline: string): Promise<number | undefined> {
  const row = await db.get('SELECT max(finished_at) AS at FROM run WHERE pipeline = ?', pipeline)
  return row?.at === null || row?.at === undefined ? undefined : Number(row.at)
}

/** A row of the table of chunks. */
export function chunkRecord(row: SqlRow): ChunkRecord {
  return {
    chunk: {
      pipeline: String(row.pipeline),
      client: String(row.client),
      window: { from: String(row.window_from), to: String(row.window_to) },
    },
    state: row.state as ChunkState,
    runId: String(row.run_id),
    attempts: Number(row.attempts),
    problem:
      row.problem_code === null
        ? null
        : {
            code: row.problem_code as ErrorCode,
            message: String(row.problem_message),
            hint: row.problem_hint === null ? null : String(row.problem_hint),
          },
    notBefore: Number(row.not_before),
  }
}

/** Everything that is only read. */
export function reader({ db }: LedgerContext): LedgerReader {
  return {
    openRun: request => openRun(db, request),
    occasions: pipeline => answeredOccasions(db, pipeline),
    waiting: pipeline => waiting(db, pipeline),
    chunksLeft: runId => chunksLeft(db, runId),
    progress: runId => progress(db, runId),
    totals: runId => totals(db, runId),
    days: (pipeline, client, window) => days(db, pipeline, client, window),
    extents: pipeline => extents(db, pipeline),
    allDays: (pipeline, client) => allDays(db, pipeline, client),
    clients: pipeline => clients(db, pipeline),
    problems: (pipeline, runId, limit) => problems(db, pipeline, runId, limit),
    knownShape: (pipeline, client) => knownShape(db, pipeline, client),
    drifts: (pipeline, limit) => drifts(db, pipeline, limit),
    restatements: (pipeline, limit) => restatements(db, pipeline, limit),
    recent: (pipeline, since, now) => recent(db, pipeline, since, now),
    history: pipeline => history(db, pipeline),
    lastFinished: pipeline => lastFinished(db, pipeline),
  }
}
