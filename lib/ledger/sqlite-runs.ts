import { randomUUID } from 'node:crypto'
import { type Chunk, dayCount, type Window } from '../chunk.ts'
import { VERSION } from '../version.ts'
import type { Claim, Run, RunLedger, RunRequest } from './ledger.ts'
import { mayBeAlive } from './owner.ts'
import type { Priority } from './pace.ts'
import type { Served, Serving } from './served.ts'
import type { SqliteContext } from './sqlite.ts'
import type { SqlRow } from './sqlite-database.ts'
import { chunkRecord, openRun, requestText } from './sqlite-reader.ts'
import { FREE, nextServed } from './sqlite-served.ts'
import { ACTIVE_STATES, type ChunkState, PROBLEM_STATES, SETTLED_STATES, sqlList, statesBefore } from './states.ts'

const ACTIVE = sqlList(ACTIVE_STATES)

/** States of a chunk that a finished run may have. */
const OVER = sqlList(SETTLED_STATES.filter(state => state !== 'parked'))

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
    const force = Number(row.force) === 1
    return { chunk, runId, priority: row.priority as Priority, force, attemptId, generation, attempt: attempts + 1 }
  }

  /** Leases of processes that are known to be dead need not run out. */
  function releaseDead(now: number): void {
    const owners = db().all(`SELECT DISTINCT lease_owner FROM chunk WHERE state IN (${ACTIVE}) AND lease_until > ?`, now)
    const dead = owners.map(row => String(row.lease_owner)).filter(other => other !== owner && !mayBeAlive(other))
    for (const other of dead) db().run(`UPDATE chunk SET lease_until = 0 WHERE state IN (${ACTIVE}) AND lease_owner = ?`, other)
  }

  /** Whether somebody has answered one of the occasions already, or a later one. */
  function answered(pipeline: string, occasions: Serving['occasions'] = []): boolean {
    return occasions.some(({ schedule, client, at }) => {
      const row = db().get(
        'SELECT at FROM occasion WHERE pipeline = ? AND schedule = ? AND client = ? AND at >= ?',
        pipeline,
        schedule,
        client,
        at,
      )
      return row !== undefined
    })
  }

  /** Begins a run that nobody has begun. */
  function begin(request: RunRequest, chunks: Iterable<Chunk>, served: boolean, now: number): Run {
    const { pipeline, api, priority } = request
    const id = randomUUID()
    const force = request.force ? 1 : 0
    db().insert('run', {
      run_id: id,
      pipeline,
      request: requestText(request),
      headrace: VERSION,
      started_at: now,
    })
    for (const { client, window } of chunks) {
      db().insert(
        'chunk',
        pendingChunk({ run_id: id, pipeline, client, api, priority, served: served ? 1 : 0, force }, window, now),
      )
    }
    return { id, resumed: false, startedAt: now }
  }

  /** Gives what did not work out another chance; what is published stays done. */
  function resume(run: Run, served: boolean, now: number): Run {
    db().run(
      "UPDATE chunk SET state = 'pending', attempts = 0, not_before = 0, updated_at = ? WHERE run_id = ? " +
        `AND state IN ('pending', ${sqlList(PROBLEM_STATES)})`,
      now,
      run.id,
    )
    if (served) db().run('UPDATE chunk SET served = 1 WHERE run_id = ?', run.id)
    return run
  }

  /** The next chunk of one run. */
  function nextOf(runId: string, now: number): SqlRow | undefined {
    return db().get(
      `SELECT * FROM chunk c WHERE run_id = ? AND state IN (${sqlList(statesBefore('running'))}) AND not_before <= ? AND ${FREE} ` +
        'ORDER BY window_from, client LIMIT 1',
      runId,
      now,
      now,
    )
  }

  /** How long it takes until it is worth asking again, for the chunks that an expression of SQL selects; undefined when none are left. */
  function patience(which: string, value: string | number, now: number): { readonly waitMs: number } | undefined {
    const waiting = db().get(
      `SELECT min(CASE WHEN state = 'pending' AND not_before > ? THEN not_before - ? ELSE 500 END) AS wait FROM chunk ` +
        `WHERE ${which} AND state IN ('pending', ${ACTIVE}) AND (state = 'pending' OR lease_owner <> ?)`,
      now,
      now,
      value,
      owner,
    )
    return waiting?.wait === null || waiting === undefined ? undefined : { waitMs: Number(waiting.wait) }
  }

  function beginRun(request: RunRequest, chunks: Iterable<Chunk>): Promise<Run>
  function beginRun(request: RunRequest, chunks: Iterable<Chunk>, serving: Serving): Promise<Run | undefined>
  async function beginRun(
    request: RunRequest,
    chunks: Iterable<Chunk>,
    { served = false, occasions = [] }: Serving = {},
  ): Promise<Run | undefined> {
    return db().write(() => {
      const now = clock()
      if (answered(request.pipeline, occasions)) return undefined
      // What is due is due again, even while an earlier run of the same days is not finished.
      const open = request.command === 'schedule' ? undefined : openRun(db(), request)
      const run = open === undefined ? begin(request, chunks, served, now) : resume(open, served, now)
      for (const { schedule, client, at } of occasions) {
        const occasion = { pipeline: request.pipeline, schedule, client, at, run_id: run.id }
        db().insert('occasion', occasion, ['pipeline', 'schedule', 'client'])
      }
      return run
    })
  }

  return {
    beginRun,

    async finishRun(runId: string): Promise<void> {
      db().write(() => db().run('UPDATE run SET finished_at = ? WHERE run_id = ?', clock(), runId))
    },

    async finishServed(): Promise<number> {
      return db().write(() =>
        db().run(
          'UPDATE run SET finished_at = ? WHERE finished_at IS NULL AND EXISTS (SELECT 1 FROM chunk c WHERE c.run_id = run.run_id AND ' +
            `c.served = 1) AND NOT EXISTS (SELECT 1 FROM chunk c WHERE c.run_id = run.run_id AND c.state NOT IN (${OVER}))`,
          clock(),
        ),
      )
    },

    async revive(runId: string, client: string, from: string, force: boolean): Promise<boolean> {
      return db().write(() => {
        const changed = db().run(
          "UPDATE chunk SET state = 'pending', attempts = 0, not_before = 0, force = max(force, ?), updated_at = ? " +
            `WHERE run_id = ? AND client = ? AND window_from = ? AND state IN (${sqlList(PROBLEM_STATES)})`,
          force ? 1 : 0,
          clock(),
          runId,
          client,
          from,
        )
        if (changed === 0) return false
        db().run('UPDATE chunk SET served = 1 WHERE run_id = ?', runId)
        db().run('UPDATE run SET finished_at = NULL WHERE run_id = ?', runId)
        return true
      })
    },

    async claim(from: string | Served, leaseMs: number): Promise<Claim | { readonly waitMs: number } | undefined> {
      return db().write(() => {
        const now = clock()
        releaseDead(now)
        const row = typeof from === 'string' ? nextOf(from, now) : nextServed(db(), from, now)
        if (row !== undefined) return take(row, now, leaseMs)
        return typeof from === 'string' ? patience('run_id = ?', from, now) : patience('served = ?', 1, now)
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

/** A chunk that nobody has tried, as a row of its table. */
export function pendingChunk<T extends object>(of: T, { from, to }: Window, now: number) {
  const state: ChunkState = 'pending'
  return { ...of, window_from: from, window_to: to, days: dayCount({ from, to }), state, updated_at: now }
}
