import type { Edge, Served } from '../served.ts'
import { ACTIVE_STATES, sqlList, statesBefore } from '../states.ts'
import type { SqlRow, Transaction } from './database.ts'

const ACTIVE = sqlList(ACTIVE_STATES)

/** Free of any other attempt on the same client's days, whichever run it belongs to; takes the time now. */
export const FREE =
  'NOT EXISTS (SELECT 1 FROM chunk a WHERE a.pipeline = c.pipeline AND a.client = c.client ' +
  `AND a.state IN (${ACTIVE}) AND a.lease_until > ? AND a.window_from <= c.window_to AND a.window_to >= c.window_from)`

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

/** That every pipeline a chunk waits for has published its days, and is not about to read them again. */
function gateOf(after: readonly Edge[]): { readonly sql: string; readonly values: (string | number)[] } {
  const sql =
    ' AND (SELECT count(*) FROM day d WHERE d.pipeline = ? AND d.client = c.client AND d.day BETWEEN c.window_from AND c.window_to ' +
    'AND d.doubted_by IS NULL) >= c.days * (1.0 - ?) AND NOT EXISTS (SELECT 1 FROM chunk u WHERE u.pipeline = ? AND u.client = c.client ' +
    `AND u.served = 1 AND u.state IN (${UNDER_WAY}) AND u.window_from <= c.window_to AND u.window_to >= c.window_from)`
  return { sql: sql.repeat(after.length), values: after.flatMap(({ pipeline, gaps }) => [pipeline, gaps, pipeline]) }
}

function byTurn(a: SqlRow, b: SqlRow): number {
  const key = ({ priority, window_to }: SqlRow): string => `${priority} ${window_to}`
  return key(a) === key(b) ? compare(String(a.client), String(b.client)) : compare(key(b), key(a))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
