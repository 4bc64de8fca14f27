import { daysOf } from '../../chunk.ts'
import type { BlockedChunk, Edge, Served } from '../served.ts'
import { ACTIVE_STATES, sqlList, statesBefore } from '../states.ts'
import type { Queries, SqlRow, Transaction } from './database.ts'
import { chunkRecord } from './reader.ts'

const ACTIVE = sqlList(ACTIVE_STATES)

/** Until when an attempt is left alone: as long as its process renews it, and as long as others may publish what it has staged. */
const untilOf = (chunk: string): string =>
  `CASE WHEN ${chunk}.state = 'staged' AND ${chunk}.offered_until > ${chunk}.lease_until THEN ${chunk}.offered_until ELSE ${chunk}.lease_until END`

/** Neither this chunk nor another one of the same client's days, whichever run it belongs to, is under way; takes the time now. */
export const FREE =
  'NOT EXISTS (SELECT 1 FROM chunk a WHERE a.pipeline = c.pipeline AND a.client = c.client ' +
  `AND a.state IN (${ACTIVE}) AND ${untilOf('a')} > ? AND a.window_from <= c.window_to AND a.window_to >= c.window_from)`

/** What will publish, or is about to. */
const UNDER_WAY = sqlList(['pending', 'parked', ...ACTIVE_STATES])

/** The next chunk of all that are served: live ones first, the newest day first, and of one day client by client. */
export async function nextServed(tx: Transaction, { pipelines, perAccount }: Served): Promise<SqlRow | undefined> {
  const open: Served['pipelines'][number][] = []
  for (const pipeline of pipelines) if ((await readingOf(tx, pipeline.name)) < pipeline.atOnce) open.push(pipeline)
  if (open.length === 0) return undefined
  const gates = open.map(({ name, after }) => ({ name, ...gateOf(after) }))
  const gate = gates.map(({ sql }) => `(c.pipeline = ?${sql})`).join(' OR ')
  const found: SqlRow[] = []
  for (const state of statesBefore('running')) {
    const row = await tx.get(
      `SELECT * FROM chunk c WHERE c.state = '${state}' AND c.served = 1 AND c.not_before <= ? AND (${gate}) AND ${FREE} AND ` +
        "(SELECT count(*) FROM chunk a WHERE a.client = c.client AND a.api = c.api AND a.state = 'running' AND a.lease_until > ?) < ? " +
        'ORDER BY c.priority DESC, c.window_to DESC, c.client LIMIT 1',
      tx.now,
      ...gates.flatMap(({ name, values }) => [name, ...values]),
      tx.now,
      tx.now,
      perAccount,
    )
    if (row !== undefined) found.push(row)
  }
  return found.toSorted(byTurn)[0]
}

/** How many chunks of a pipeline are being read, by whomever. */
async function readingOf(tx: Transaction, pipeline: string): Promise<number> {
  const row = await tx.get(
    "SELECT count(*) AS chunks FROM chunk WHERE pipeline = ? AND state = 'running' AND lease_until > ?",
    pipeline,
    tx.now,
  )
  return Number(row?.chunks)
}

/** That a pipeline has published the days of a chunk, but for some of them; takes its name and their share. */
const PUBLISHED =
  '(SELECT count(*) FROM day d WHERE d.pipeline = ? AND d.client = c.client AND d.day BETWEEN c.window_from AND c.window_to ' +
  'AND d.doubted_by IS NULL) >= c.days * (1.0 - ?)'

/** That a pipeline has a chunk of days of this one that is not done, of which more must be said; takes its name. */
const OVERLAPPING =
  'EXISTS (SELECT 1 FROM chunk u WHERE u.pipeline = ? AND u.client = c.client AND u.window_from <= c.window_to AND u.window_to >= c.window_from ' +
  "AND u.state NOT IN ('published', 'unchanged')"

/** That a pipeline is about to publish days of a chunk; takes its name. */
const ABOUT_TO = `${OVERLAPPING} AND u.served = 1 AND u.state IN (${UNDER_WAY}))`

/** That every pipeline a chunk waits for has published its days, and is not about to read them again. */
function gateOf(after: readonly Edge[]): { readonly sql: string; readonly values: (string | number)[] } {
  const sql = ` AND ${PUBLISHED} AND NOT ${ABOUT_TO}`
  return { sql: sql.repeat(after.length), values: after.flatMap(({ pipeline, gaps }) => [pipeline, gaps, pipeline]) }
}

/** What did not come to publishing its days and does not do so by itself. */
const STUCK = sqlList(['held', 'failed'])

/** The chunks of a pipeline that one before it keeps waiting, newest days first; or those alone that it keeps waiting until a person helps. */
export function waitingFor(
  db: Queries,
  pipeline: string,
  { pipeline: upstream, gaps }: Edge,
  { stuck, limit }: { readonly stuck: boolean; readonly limit: number },
): Promise<SqlRow[]> {
  const [why, values] = stuck
    ? [`NOT ${PUBLISHED} AND NOT ${ABOUT_TO} AND ${OVERLAPPING} AND u.state IN (${STUCK}))`, [upstream, gaps, upstream, upstream]]
    : [`(NOT ${PUBLISHED} OR ${ABOUT_TO})`, [upstream, gaps, upstream]]
  return db.all(
    `SELECT * FROM chunk c WHERE c.pipeline = ? AND c.served = 1 AND c.state = 'pending' AND ${why} ORDER BY c.window_to DESC, c.client LIMIT ?`,
    pipeline,
    ...values,
    limit,
  )
}

/** Says of a chunk what keeps it waiting. */
export async function blockedChunk(db: Queries, row: SqlRow, upstream: string): Promise<BlockedChunk> {
  const { chunk, runId } = chunkRecord(row)
  const { client, window } = chunk
  const days = await db.all(
    'SELECT day FROM day WHERE pipeline = ? AND client = ? AND day BETWEEN ? AND ? AND doubted_by IS NULL',
    upstream,
    client,
    window.from,
    window.to,
  )
  const published = new Set(days.map(({ day }) => String(day)))
  const by = await db.get(
    "SELECT * FROM chunk WHERE pipeline = ? AND client = ? AND window_from <= ? AND window_to >= ? AND state NOT IN ('published', 'unchanged') " +
      'ORDER BY updated_at DESC, window_to DESC LIMIT 1',
    upstream,
    client,
    window.to,
    window.from,
  )
  const missing = daysOf(window).filter(day => !published.has(day))
  return { chunk, runId, upstream, missing, by: by === undefined ? null : chunkRecord(by) }
}

function byTurn(a: SqlRow, b: SqlRow): number {
  const key = ({ priority, window_to }: SqlRow): string => `${priority} ${window_to}`
  return key(a) === key(b) ? compare(String(a.client), String(b.client)) : compare(key(b), key(a))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
