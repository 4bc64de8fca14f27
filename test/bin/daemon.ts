import { setTimeout } from 'node:timers/promises'
import type { Test } from 'tap'
import { addDays, type Window } from '../../lib/chunk.ts'
import { dayAt } from '../../lib/plan/schedule.ts'
import { sql } from '../ledger/kit.ts'
import { recordsOf } from './api.ts'
import type { Ran, Running } from './cli.ts'
import type { Parts, Project } from './project.ts'

const YESTERDAY = addDays(dayAt(Date.now(), 'UTC'), -1)
const LOOKBACK = 8
/** What is due at any time of this day. */
export const DUE: Window = { from: addDays(YESTERDAY, 1 - LOOKBACK), to: YESTERDAY }
/** The clients of such a project. */
export const CLIENTS = ['acme', 'globex', 'initech']

/** A pipeline that is due every day. */
export const PARTS: Parts = {
  clients: JSON.stringify(CLIENTS),
  pipeline: `schedule: [{ name: 'daily', cron: '0 0 * * *', lookbackDays: ${LOOKBACK} }],`,
  settings: 'leaseSeconds: 5,',
}

/** Starts `headrace daemon` on a free port. */
export function startDaemon({ start }: Project, ...args: readonly string[]): Running {
  return start(['daemon', '--port', '0', ...args])
}

/** Resolves when so many chunks are through. */
export function through({ said }: Running, chunks: number): Promise<string> {
  return said(/"event":"chunk\.(?:published|unchanged)"/, chunks)
}

/** Resolves when nothing that is served is left to do. */
export async function finished({ folder }: Project): Promise<void> {
  const left = (): unknown =>
    sql(`${folder}/ledger.sqlite`, "SELECT count(*) AS left FROM chunk WHERE state NOT IN ('published', 'unchanged')")[0]?.left
  while (left() !== 0) await setTimeout(50)
}

/** Ends a daemon as systemd does. */
export async function stopped({ process, ended }: Running): Promise<Ran> {
  process.kill('SIGTERM')
  return ended
}

/** The log of a daemon that has ended. */
export const events = ({ stderr }: Ran): Record<string, unknown>[] =>
  stderr
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))

/** The table holds what the API says of these days, and nothing else; and the ledger agrees. */
export async function exact(t: Test, { query, headrace, folder }: Project, days: readonly string[]): Promise<void> {
  const found = await query(
    'SELECT client_id, date::VARCHAR AS day, campaign, clicks::INTEGER AS clicks FROM shop.ads ORDER BY ALL',
  )
  const wanted = CLIENTS.flatMap(client =>
    days.flatMap(day => recordsOf(client, day).map(({ campaign, clicks }) => ({ client_id: client, day, campaign, clicks }))),
  )
  t.strictSame(found, wanted, 'the table is exact')
  const verified = await headrace('verify')
  t.equal(verified.code, 0, `and as the ledger says ${verified.stderr}`)
  const twice = sql(
    `${folder}/ledger.sqlite`,
    "SELECT run_id, client, window_from FROM attempt WHERE outcome IN ('published', 'unchanged') GROUP BY 1, 2, 3 HAVING count(*) > 1",
  )
  t.same(twice, [], 'no chunk was published twice')
}
