import type { Window } from '../../chunk.ts'
import type { AttemptSummary } from '../ledger.ts'
import type { Arrival, LedgerWork, RejectedBy, TimeRange, Work } from '../work.ts'
import type { LedgerContext, Queries } from './database.ts'
import { restatement } from './recent.ts'

/** The columns of an attempt that are summed, by what the sum is called. */
const SUMS = {
  extracted: 'extracted',
  rejected: 'rejected',
  requests: 'requests',
  retries: 'retries',
  waitedMs: 'waited_ms',
  jobs: 'jobs',
  bytesBilled: 'bytes_billed',
  slotMs: 'slot_ms',
} as const

/** What was done within some time. */
async function workDone(db: Queries, pipeline: string, { from, until }: TimeRange): Promise<Work> {
  const sums = Object.values(SUMS).map(column => `coalesce(sum(1.0 * ${column}), 0) AS ${column}`)
  const row = await db.get(
    `SELECT count(*) AS attempts, count(CASE WHEN outcome NOT IN ('published', 'unchanged') THEN 1 END) AS stopped, ${sums.join(', ')} ` +
      'FROM attempt WHERE pipeline = ? AND finished_at >= ? AND finished_at < ?',
    pipeline,
    from,
    until,
  )
  const of = (column: string): number => Number(row?.[column] ?? 0)
  return {
    attempts: of('attempts'),
    stopped: of('stopped'),
    extracted: of(SUMS.extracted),
    rejected: of(SUMS.rejected),
    requests: of(SUMS.requests),
    retries: of(SUMS.retries),
    waitedMs: of(SUMS.waitedMs),
    jobs: of(SUMS.jobs),
    bytesBilled: of(SUMS.bytesBilled),
    slotMs: of(SUMS.slotMs),
  }
}

/** Whenever days of a window arrived. */
async function arrivals(db: Queries, pipeline: string, { from, to }: Window, since: number): Promise<Arrival[]> {
  const rows = await db.all(
    "SELECT client, window_from, window_to, finished_at FROM attempt WHERE pipeline = ? AND finished_at >= ? AND outcome IN ('published', 'unchanged') " +
      'AND window_from <= ? AND window_to >= ? ORDER BY finished_at, generation',
    pipeline,
    since,
    to,
    from,
  )
  return rows.map(row => ({
    client: String(row.client),
    window: { from: String(row.window_from), to: String(row.window_to) },
    at: Number(row.finished_at),
  }))
}

/** The chunks behind published days with rejects. */
async function rejectedBy(db: Queries, pipeline: string, { from, to }: Window): Promise<RejectedBy[]> {
  const rows = await db.all(
    'SELECT client, summary FROM attempt WHERE attempt_id IN (SELECT attempt_id FROM day WHERE pipeline = ? AND day BETWEEN ? AND ? AND rejected > 0) ' +
      'ORDER BY generation',
    pipeline,
    from,
    to,
  )
  return rows.map(({ client, summary }) => {
    const { rejectedBy }: AttemptSummary = JSON.parse(String(summary))
    return { client: String(client), rules: rejectedBy }
  })
}

/** What is known of the work that was done. */
export function work({ db }: LedgerContext): LedgerWork {
  return {
    work: (pipeline, within) => workDone(db, pipeline, within),
    arrivals: (pipeline, window, since) => arrivals(db, pipeline, window, since),
    async restatedWithin(pipeline, { from, until }) {
      const sql = 'SELECT * FROM restatement WHERE pipeline = ? AND at >= ? AND at < ? ORDER BY at, client, day'
      return (await db.all(sql, pipeline, from, until)).map(restatement)
    },
    async rejectedDays(pipeline, { from, to }) {
      const sql =
        'SELECT client, day, rejected FROM day WHERE pipeline = ? AND day BETWEEN ? AND ? AND rejected > 0 ORDER BY client, day'
      const rows = await db.all(sql, pipeline, from, to)
      return rows.map(({ client, day, rejected }) => ({ client: String(client), day: String(day), rejected: Number(rejected) }))
    },
    rejectedBy: (pipeline, window) => rejectedBy(db, pipeline, window),
  }
}
