import { randomUUID } from 'node:crypto'
import type { RunProgress, RunRequest } from '../ledger.ts'
import type { ChunkFilter, ChunkKey, LedgerLists, ListedChunk, ListedRun, OperatorAction, RunKey } from '../lists.ts'
import type { Priority } from '../pace.ts'
import type { LedgerContext, Queries, SqlRow, SqlValue } from './database.ts'
import { chunkRecord, progress } from './reader.ts'

/** Conditions that all hold, with their values; those whose value is undefined are left out. */
function where(conditions: readonly (readonly [sql: string, ...values: (SqlValue | undefined)[]])[]) {
  const given = conditions.filter(([, ...values]) => !values.includes(undefined))
  return {
    sql: given.length === 0 ? '' : ` WHERE ${given.map(([sql]) => sql).join(' AND ')}`,
    values: given.flatMap(([, ...values]) => values.filter(value => value !== undefined)),
  }
}

async function chunks(
  db: Queries,
  { pipeline, client, state, run, from }: ChunkFilter,
  limit: number,
  [run0, client0, from0]: ChunkKey | [] = [],
): Promise<ListedChunk[]> {
  const { sql, values } = where([
    ['pipeline = ?', pipeline],
    ['client = ?', client],
    ['state = ?', state],
    ['run_id = ?', run],
    ['window_from = ?', from],
    ['(run_id, client, window_from) > (?, ?, ?)', run0, client0, from0],
  ])
  const rows = await db.all(`SELECT * FROM chunk${sql} ORDER BY run_id, client, window_from LIMIT ?`, ...values, limit)
  return rows.map(row => ({
    ...chunkRecord(row),
    priority: row.priority as Priority,
    served: Number(row.served) === 1,
    updatedAt: Number(row.updated_at),
  }))
}

async function runs(
  db: Queries,
  { pipeline, finished }: Parameters<LedgerLists['runs']>[0],
  limit: number,
  [at0, run0]: RunKey | [] = [],
): Promise<ListedRun[]> {
  const { sql, values } = where([
    ['pipeline = ?', pipeline],
    ['(started_at, run_id) < (?, ?)', at0, run0],
  ])
  const ended = finished === undefined ? '' : `finished_at IS ${finished ? 'NOT ' : ''}NULL`
  const all = ended === '' ? sql : `${sql === '' ? ' WHERE' : `${sql} AND`} ${ended}`
  const rows = await db.all(`SELECT * FROM run${all} ORDER BY started_at DESC, run_id DESC LIMIT ?`, ...values, limit)
  return await Array.fromAsync(rows, async row => listedRun(row, await progress(db, String(row.run_id))))
}

function listedRun(row: SqlRow, progress: RunProgress): ListedRun {
  const { command, window, clients, force, missing }: RunRequest = JSON.parse(String(row.request))
  return {
    id: String(row.run_id),
    pipeline: String(row.pipeline),
    command,
    window,
    clients: clients.length,
    force,
    missing,
    startedAt: Number(row.started_at),
    finishedAt: row.finished_at === null ? null : Number(row.finished_at),
    progress,
  }
}

async function actions(db: Queries, limit: number): Promise<OperatorAction[]> {
  const rows = await db.all('SELECT * FROM operator_action ORDER BY at DESC, action_id LIMIT ?', limit)
  return rows.map(row => ({
    at: Number(row.at),
    who: String(row.who),
    action: row.action as OperatorAction['action'],
    subject: String(row.subject),
    outcome: String(row.outcome),
  }))
}

/** What is listed, and what operators have done. */
export function lists({ db }: LedgerContext): LedgerLists {
  return {
    chunks: (filter, limit, behind) => chunks(db, filter, limit, behind),
    runs: (filter, limit, behind) => runs(db, filter, limit, behind),
    recordAction: action => db.write(tx => tx.insert('operator_action', [{ action_id: randomUUID(), at: tx.now, ...action }])),
    actions: limit => actions(db, limit),
  }
}
