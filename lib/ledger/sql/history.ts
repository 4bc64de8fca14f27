import { dayCount } from '../../chunk.ts'
import type { AttemptSummary } from '../ledger.ts'
import type { History } from '../reader.ts'
import type { Queries } from './database.ts'

/** Published days of a client that are looked at, and chunks of a pipeline. */
const NEWEST_DAYS = 28
const NEWEST_CHUNKS = 200

/** The middle one of the newest days of every client; of two in the middle, what is between them. */
const MEDIANS =
  'SELECT client, avg(rows) AS rows FROM (SELECT client, rows, row_number() OVER (PARTITION BY client ORDER BY rows) AS place, ' +
  'count(*) OVER (PARTITION BY client) AS days FROM (SELECT client, rows, row_number() OVER (PARTITION BY client ORDER BY day DESC) AS age ' +
  'FROM day WHERE pipeline = ?) AS newest WHERE age <= ?) AS ordered WHERE place IN ((days + 1) / 2, (days + 2) / 2) GROUP BY client'

/** What a pipeline did lately. */
export async function history(db: Queries, pipeline: string): Promise<History> {
  const medians = await db.all(MEDIANS, pipeline, NEWEST_DAYS)
  const attempts = await db.all(
    "SELECT summary FROM attempt WHERE pipeline = ? AND outcome IN ('published', 'unchanged') ORDER BY generation DESC LIMIT ?",
    pipeline,
    NEWEST_CHUNKS,
  )
  return {
    rowsPerDay: new Map(medians.map(({ client, rows }) => [String(client), Number(rows)])),
    chunks: attempts.map(({ summary }) => {
      const { from, to, api, startedAt, finishedAt }: AttemptSummary = JSON.parse(String(summary))
      return { days: dayCount({ from, to }), requests: api.requests, startedAt, finishedAt }
    }),
  }
}
