import { randomUUID } from 'node:crypto'
import type { Chunk } from '../chunk.ts'
import { VERSION } from '../version.ts'
import type { Claim, Run, RunLedger, RunRequest } from './ledger.ts'
import { mayBeAlive } from './owner.ts'
import type { SqliteContext } from './sqlite.ts'
import type { SqlRow } from './sqlite-database.ts'
import { chunkRecord, openRun, requestText } from './sqlite-reader.ts'
import { ACTIVE_STATES, type ChunkState, PROBLEM_STATES, sqlList, statesBefore } from './states.ts'

const ACTIVE = sqlList(ACTIVE_STATES)

/** Runs, and who works on which of their chunks. */
export function runs({ db, now: clock, owner }: SqliteContext): RunLedger {
  function take(row: SqlRow, now: number, leaseMs: number): Claim {
    const { chunk, runId, attempts } = chunkRecord(row)
    const attemptId = randomUUID()
    const newest = Number(db().get('SELECT max(generation) AS newest FROM attempt')?.newest ?? 0)
    // Never smaller than one of a ledger that was lost: a counter alone would start again below the warehouse's fence.
    const generation = Math.max(now, newest + 1)
    const { pipeline, client, window } = chunk
    db().insert('attempt', {
      attempt_id: attemptId,
      generation,
      run_id: runId,
      pipeline,
      client,
      window_from: window.from,
      window_to: window.to,
      attempt: attempts + 1,
      started_at: now,
    })
    const state: ChunkState = 'running'
    db().update(
      'chunk',
      {
        state,
        attempts: attempts + 1,
        attempt_id: attemptId,
        lease_owner: owner,
        lease_until: now + leaseMs,
        problem_code: null,
        problem_message: null,
        problem_hint: null,
        updated_at: now,
      },
      { run_id: runId, client, window_from: window.from },
    )
    return { chunk, runId, attemptId, generation, attempt: attempts + 1 }
  }

  /** Leases of processes that are known to be dead need not run out. */
  function releaseDead(now: number): void {
    const owners = db().all(`SELECT DISTINCT lease_owner FROM chunk WHERE state IN (${ACTIVE}) AND lease_until > ?`, now)
    const dead = owners.map(row => String(row.lease_owner)).filter(other => other !== owner && !mayBeAlive(other))
    for (const other of dead) db().run(`UPDATE chunk SET lease_until = 0 WHERE state IN (${ACTIVE}) AND lease_owner = ?`, other)
  }

  return {
    async beginRun(request: RunRequest, chunks: Iterable<Chunk>): Promise<Run> {
      return db().write(() => {
        const now = clock()
        const open = openRun(db(), request)
        if (open !== undefined) {
          // What did not work out gets another chance; what is published stays done.
          db().run(
            "UPDATE chunk SET state = 'pending', attempts = 0, not_before = 0, updated_at = ? WHERE run_id = ? " +
              `AND state IN ('pending', ${sqlList(PROBLEM_STATES)})`,
            now,
            open.id,
          )
          return open
        }
        const id = randomUUID()
        db().insert('run', {
          run_id: id,
          pipeline: request.pipeline,
          request: requestText(request),
          headrace: VERSION,
          started_at: now,
        })
        for (const { pipeline, client, window } of chunks) {
          const state: ChunkState = 'pending'
          db().insert('chunk', {
            run_id: id,
            pipeline,
            client,
            window_from: window.from,
            window_to: window.to,
            state,
            updated_at: now,
          })
        }
        return { id, resumed: false, startedAt: now }
      })
    },

    async finishRun(runId: string): Promise<void> {
      db().write(() => db().run('UPDATE run SET finished_at = ? WHERE run_id = ?', clock(), runId))
    },

    async claim(runId: string, leaseMs: number): Promise<Claim | { readonly waitMs: number } | undefined> {
      return db().write(() => {
        const now = clock()
        releaseDead(now)
        // Free of any other attempt on the same client's days, whichever run it belongs to.
        const free =
          'NOT EXISTS (SELECT 1 FROM chunk a WHERE a.pipeline = c.pipeline AND a.client = c.client ' +
          `AND a.state IN (${ACTIVE}) AND a.lease_until > ? AND a.window_from <= c.window_to AND a.window_to >= c.window_from)`
        const row = db().get(
          `SELECT * FROM chunk c WHERE run_id = ? AND state IN (${sqlList(statesBefore('running'))}) AND not_before <= ? AND ${free} ` +
            'ORDER BY window_from, client LIMIT 1',
          runId,
          now,
          now,
        )
        if (row !== undefined) return take(row, now, leaseMs)
        const waiting = db().get(
          `SELECT min(CASE WHEN state = 'pending' AND not_before > ? THEN not_before - ? ELSE 500 END) AS wait FROM chunk ` +
            `WHERE run_id = ? AND state IN ('pending', ${ACTIVE}) AND (state = 'pending' OR lease_owner <> ?)`,
          now,
          now,
          runId,
          owner,
        )
        return waiting?.wait === null || waiting === undefined ? undefined : { waitMs: Number(waiting.wait) }
      })
    },

    async renew(attemptIds: readonly string[], leaseMs: number): Promise<string[]> {
      if (attemptIds.length === 0) return []
      return db().write(() =>
        attemptIds.filter(
          attemptId =>
            db().run(
              `UPDATE chunk SET lease_until = ? WHERE attempt_id = ? AND state IN (${ACTIVE})`,
              clock() + leaseMs,
              attemptId,
            ) === 0,
        ),
      )
    },

    async aliveAttempts(): Promise<Set<string>> {
      return new Set(
        db()
          .all(`SELECT attempt_id, lease_owner FROM chunk WHERE state IN (${ACTIVE}) AND lease_until > ?`, clock())
          .filter(row => mayBeAlive(String(row.lease_owner)))
          .map(row => String(row.attempt_id)),
      )
    },
  }
}
