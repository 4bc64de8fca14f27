import { randomUUID } from 'node:crypto'
import { chunkText, dayCount, type Window } from '../../chunk.ts'
import { TransientError } from '../../errors.ts'
import type { SpanIds } from '../../trace.ts'
import { VERSION } from '../../version.ts'
import type { AttemptSummary, Claim, RequestedChunk, Run, RunLedger, RunRequest } from '../ledger.ts'
import { mayBeAlive } from '../owner.ts'
import type { Priority } from '../pace.ts'
import type { BlockedChunk, Edge, Occasion, Served, Serving } from '../served.ts'
import { ACTIVE_STATES, type ChunkState, PROBLEM_STATES, SETTLED_STATES, sqlList, statesBefore } from '../states.ts'
import type { LedgerContext, SqlRow, Transaction } from './database.ts'
import { answeredOccasions, chunkRecord, openRun, requestText } from './reader.ts'
import { blockedChunk, FREE, nextServed, waitingFor } from './served.ts'

const ACTIVE = sqlList(ACTIVE_STATES)

/** States of a chunk that a finished run may have. */
const OVER = sqlList(SETTLED_STATES.filter(state => state !== 'parked'))

/** Chunks that are ended at once because of one upstream: one transaction is to stay short. */
const MOST_FAILED = 1_000

/** Runs, and who works on which of their chunks. */
export function runs({ db, owner }: LedgerContext): RunLedger {
  async function take(tx: Transaction, row: SqlRow, leaseMs: number): Promise<Claim> {
    const { now } = tx
    const { chunk, runId, attempts } = chunkRecord(row)
    const attemptId = randomUUID()
    const newest = Number((await tx.get('SELECT max(generation) AS newest FROM attempt'))?.newest ?? 0)
    // Never smaller than one of a ledger that was lost: a counter alone would start again below the warehouse's fence.
    const generation = Math.max(now, newest + 1)
    const { pipeline, client, window } = chunk
    const begun = {
      attempt_id: attemptId,
      generation,
      run_id: runId,
      pipeline,
      client,
      window_from: window.from,
      window_to: window.to,
      attempt: attempts + 1,
      started_at: now,
    }
    await tx.insert('attempt', [begun])
    const state: ChunkState = 'running'
    await tx.update(
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
    const claim = { chunk, runId, priority: row.priority as Priority, force, attemptId, generation, attempt: attempts + 1 }
    const before = await spanOf(tx, row)
    return before === undefined ? claim : { ...claim, before }
  }

  /** The span of an earlier attempt; undefined for none, one that died, and one that was not traced. */
  async function spanOf(tx: Transaction, { attempt_id: attemptId }: SqlRow): Promise<SpanIds | undefined> {
    if (attemptId === null || attemptId === undefined) return undefined
    const text = (await tx.get('SELECT summary FROM attempt WHERE attempt_id = ?', String(attemptId)))?.summary
    if (text === null || text === undefined) return undefined
    const summary: AttemptSummary = JSON.parse(String(text))
    return summary.trace
  }

  /** Leases of processes that are known to be dead need not run out. */
  async function releaseDead(tx: Transaction): Promise<void> {
    const owners = await tx.all(`SELECT DISTINCT lease_owner FROM chunk WHERE state IN (${ACTIVE}) AND lease_until > ?`, tx.now)
    const dead = owners.map(row => String(row.lease_owner)).filter(other => other !== owner && !mayBeAlive(other))
    for (const other of dead) {
      await tx.run(`UPDATE chunk SET lease_until = 0 WHERE state IN (${ACTIVE}) AND lease_owner = ?`, other)
    }
  }

  /** Whether somebody has answered one of the occasions already, or a later one. */
  async function answered(tx: Transaction, pipeline: string, occasions: readonly Occasion[]): Promise<boolean> {
    if (occasions.length === 0) return false
    const key = ({ schedule, client }: Occasion): string => JSON.stringify([schedule, client])
    const known = new Map((await answeredOccasions(tx, pipeline)).map(occasion => [key(occasion), occasion.at]))
    return occasions.some(occasion => (known.get(key(occasion)) ?? Number.NEGATIVE_INFINITY) >= occasion.at)
  }

  /** Begins a run that nobody has begun. */
  async function begin(tx: Transaction, request: RunRequest, chunks: readonly RequestedChunk[], served: boolean): Promise<Run> {
    const { pipeline, api } = request
    const { now } = tx
    const id = randomUUID()
    const finished_at = chunks.length === 0 ? now : null
    const run = { run_id: id, pipeline, request: requestText(request), headrace: VERSION, started_at: now, finished_at }
    await tx.insert('run', [run])
    const of = { run_id: id, pipeline, api, served: served ? 1 : 0, force: request.force ? 1 : 0 }
    await tx.insert(
      'chunk',
      chunks.map(({ client, window, priority = 'backfill' }) => pendingChunk({ ...of, client, priority }, window, now)),
    )
    return { id, resumed: false, startedAt: now }
  }

  /** Gives what did not work out another chance; what is published stays done. */
  async function resume(tx: Transaction, run: Run, served: boolean): Promise<Run> {
    await tx.run(
      "UPDATE chunk SET state = 'pending', attempts = 0, not_before = 0, updated_at = ? WHERE run_id = ? " +
        `AND state IN ('pending', ${sqlList(PROBLEM_STATES)})`,
      tx.now,
      run.id,
    )
    if (served) await tx.run('UPDATE chunk SET served = 1 WHERE run_id = ?', run.id)
    return run
  }

  /** The next chunk of one run. */
  function nextOf(tx: Transaction, runId: string): Promise<SqlRow | undefined> {
    return tx.get(
      `SELECT * FROM chunk c WHERE run_id = ? AND state IN (${sqlList(statesBefore('running'))}) AND not_before <= ? AND ${FREE} ` +
        'ORDER BY window_from, client LIMIT 1',
      runId,
      tx.now,
      tx.now,
    )
  }

  /** How long it takes until it is worth asking again, for the chunks that an expression of SQL selects; undefined when none are left. */
  async function patience(
    tx: Transaction,
    which: string,
    value: string | number,
  ): Promise<{ readonly waitMs: number } | undefined> {
    const waiting = await tx.get(
      `SELECT min(CASE WHEN state = 'pending' AND not_before > ? THEN not_before - ? ELSE 500 END) AS wait FROM chunk ` +
        `WHERE ${which} AND state IN ('pending', ${ACTIVE}) AND (state = 'pending' OR lease_owner <> ?)`,
      tx.now,
      tx.now,
      value,
      owner,
    )
    return waiting?.wait === null || waiting === undefined ? undefined : { waitMs: Number(waiting.wait) }
  }

  function beginRun(request: RunRequest, chunks: Iterable<RequestedChunk>): Promise<Run>
  function beginRun(request: RunRequest, chunks: Iterable<RequestedChunk>, serving: Serving): Promise<Run | undefined>
  async function beginRun(
    request: RunRequest,
    chunks: Iterable<RequestedChunk>,
    { served = false, occasions = [] }: Serving = {},
  ): Promise<Run | undefined> {
    const planned = [...chunks]
    return db.write(async tx => {
      if (await answered(tx, request.pipeline, occasions)) return undefined
      // What is due is due again, even while an earlier run of the same days is not finished.
      const open = request.command === 'schedule' ? undefined : await openRun(tx, request)
      const run = open === undefined ? await begin(tx, request, planned, served) : await resume(tx, open, served)
      await tx.insert(
        'occasion',
        occasions.map(({ schedule, client, at }) => ({ pipeline: request.pipeline, schedule, client, at, run_id: run.id })),
        ['pipeline', 'schedule', 'client'],
      )
      return run
    })
  }

  return {
    beginRun,

    async finishRun(runId: string): Promise<void> {
      await db.write(tx => tx.run('UPDATE run SET finished_at = ? WHERE run_id = ?', tx.now, runId))
    },

    async failBlocked(pipeline: string, after: readonly Edge[]): Promise<BlockedChunk[]> {
      return db.write(async tx => {
        const failed: BlockedChunk[] = []
        for (const edge of after) {
          for (const row of await waitingFor(tx, pipeline, edge, { stuck: true, limit: MOST_FAILED })) {
            const blocked = await blockedChunk(tx, row, edge.pipeline)
            const { code, message, hint } = unpublished(blocked)
            // An attempt like any other, so that it is known when it came to nothing.
            const { attemptId } = await take(tx, row, 0)
            const state: ChunkState = 'failed'
            const problem = { problem_code: code, problem_message: message, problem_hint: hint ?? null }
            await tx.update('chunk', { state, ...problem, updated_at: tx.now }, { attempt_id: attemptId })
            await tx.update('attempt', { outcome: code, finished_at: tx.now }, { attempt_id: attemptId })
            failed.push(blocked)
          }
        }
        return failed
      })
    },

    async finishServed(): Promise<number> {
      return db.write(tx =>
        tx.run(
          'UPDATE run SET finished_at = ? WHERE finished_at IS NULL AND EXISTS (SELECT 1 FROM chunk c WHERE c.run_id = run.run_id AND ' +
            `c.served = 1) AND NOT EXISTS (SELECT 1 FROM chunk c WHERE c.run_id = run.run_id AND c.state NOT IN (${OVER}))`,
          tx.now,
        ),
      )
    },

    async revive(runId: string, client: string, from: string, force: boolean): Promise<boolean> {
      return db.write(async tx => {
        const changed = await tx.run(
          "UPDATE chunk SET state = 'pending', attempts = 0, not_before = 0, force = CASE WHEN force = 1 THEN 1 ELSE ? END, updated_at = ? " +
            `WHERE run_id = ? AND client = ? AND window_from = ? AND state IN (${sqlList(PROBLEM_STATES)})`,
          force ? 1 : 0,
          tx.now,
          runId,
          client,
          from,
        )
        if (changed === 0) return false
        await tx.run('UPDATE chunk SET served = 1 WHERE run_id = ?', runId)
        await tx.run('UPDATE run SET finished_at = NULL WHERE run_id = ?', runId)
        return true
      })
    },

    async claim(from: string | Served, leaseMs: number): Promise<Claim | { readonly waitMs: number } | undefined> {
      return db.writeBehind(async tx => {
        await releaseDead(tx)
        const row = await (typeof from === 'string' ? nextOf(tx, from) : nextServed(tx, from))
        if (row !== undefined) return take(tx, row, leaseMs)
        return typeof from === 'string' ? patience(tx, 'run_id = ?', from) : patience(tx, 'served = ?', 1)
      })
    },

    async renew(attemptIds: readonly string[], leaseMs: number): Promise<string[]> {
      if (attemptIds.length === 0) return []
      return db.writeBehind(async tx => {
        const lost: string[] = []
        for (const attemptId of attemptIds) {
          const sql = `UPDATE chunk SET lease_until = ? WHERE attempt_id = ? AND state IN (${ACTIVE})`
          if ((await tx.run(sql, tx.now + leaseMs, attemptId)) === 0) lost.push(attemptId)
        }
        return lost
      })
    },

    async aliveAttempts(): Promise<Set<string>> {
      const now = await db.now()
      const sql = `SELECT attempt_id, lease_owner, offered_until FROM chunk WHERE state IN (${ACTIVE}) AND (lease_until > ? OR offered_until > ?)`
      const active = await db.all(sql, now, now)
      const alive = active.filter(row => Number(row.offered_until) > now || mayBeAlive(String(row.lease_owner)))
      return new Set(alive.map(row => String(row.attempt_id)))
    },
  }
}

/** A chunk that nobody has tried, as a row of its table. */
export function pendingChunk<T extends object>(of: T, { from, to }: Window, now: number) {
  const state: ChunkState = 'pending'
  return { ...of, window_from: from, window_to: to, days: dayCount({ from, to }), state, updated_at: now }
}

/** Why a chunk is not read. */
function unpublished({ chunk, upstream, missing, by }: BlockedChunk): TransientError {
  const days = missing.length > 3 ? `${missing.slice(0, 3).join(', ')} and ${missing.length - 3} more` : missing.join(', ')
  return new TransientError('UPSTREAM_UNPUBLISHED', {
    message: `${chunkText(chunk)}: ${upstream} has not published ${days}: ${by?.state ?? 'nothing'} there, ${by?.problem?.code ?? 'without a reason'}`,
    hint: `Nothing of this chunk was read. Put right what is wrong with ${upstream}; when it has published these days, the chunk is read when it is next due, or by headrace backfill.`,
  })
}
