import { type Chunk, chunkText, type Window } from '../chunk.ts'
import { TransientError } from '../errors.ts'
import type { AttemptLedger, AttemptSummary, ChunkRecord, Restatement, Settlement } from './ledger.ts'
import type { SqliteContext } from './sqlite.ts'
import { chunkRecord } from './sqlite-reader.ts'
import { pendingChunk } from './sqlite-runs.ts'
import { learnShape, recordDrifts } from './sqlite-shapes.ts'
import { ACTIVE_STATES, type ChunkState, sqlList, statesBefore } from './states.ts'

const ACTIVE: readonly ChunkState[] = ACTIVE_STATES

/** What becomes of attempts. Every write fails with `LEASE_LOST` once the chunk belongs to another attempt. */
export function attempts({ db, now }: SqliteContext): AttemptLedger {
  /** The chunk of an attempt that is under way, if it is still this attempt's. */
  function owned(attemptId: string): ChunkRecord {
    const row = db().get('SELECT * FROM chunk WHERE attempt_id = ?', attemptId)
    if (row === undefined) {
      throw new TransientError('LEASE_LOST', {
        message: `attempt ${attemptId} no longer owns its chunk`,
        hint: 'Another process has taken it over while this one was stalled; it finishes the work. Nothing was overwritten.',
      })
    }
    const record = chunkRecord(row)
    if (ACTIVE.includes(record.state)) return record
    throw new TransientError('LEASE_LOST', { message: `${chunkText(record.chunk)} is ${record.state}: its attempt is over` })
  }

  function move(attemptId: string, state: ChunkState): ChunkRecord {
    const record = owned(attemptId)
    const moved = db().run(
      `UPDATE chunk SET state = ?, updated_at = ? WHERE attempt_id = ? AND state IN (${sqlList(statesBefore(state))})`,
      state,
      now(),
      attemptId,
    )
    if (moved === 1) return record
    throw new TransientError('LEASE_LOST', {
      message: `${chunkText(record.chunk)} is ${record.state} and cannot become ${state}`,
    })
  }

  /** Says by an expression of SQL which attempt has left the days of a chunk in doubt. */
  function doubt({ pipeline, client, window }: Chunk, by: string, ...values: readonly string[]): void {
    db().run(
      `UPDATE day SET doubted_by = ${by} WHERE pipeline = ? AND client = ? AND day BETWEEN ? AND ?`,
      ...values,
      pipeline,
      client,
      window.from,
      window.to,
    )
  }

  /** Puts chunks that nobody has tried in the place of one. */
  function replace(attemptId: string, runId: string, { pipeline, client }: Chunk, parts: readonly Window[]): void {
    const row = db().get('SELECT api, priority, served, force FROM chunk WHERE attempt_id = ?', attemptId)
    const kept = {
      api: String(row?.api),
      priority: String(row?.priority),
      served: Number(row?.served),
      force: Number(row?.force),
    }
    db().run('DELETE FROM chunk WHERE attempt_id = ?', attemptId)
    for (const part of parts) db().insert('chunk', pendingChunk({ run_id: runId, pipeline, client, ...kept }, part, now()))
  }

  function finish(attemptId: string, outcome: string, summary: AttemptSummary): void {
    const { extracted, staged, rejected, deduplicated, inserted, deleted } = summary.rows
    db().update(
      'attempt',
      {
        outcome,
        finished_at: now(),
        group_id: summary.groupId,
        extracted,
        staged,
        rejected,
        deduplicated,
        inserted,
        deleted,
        summary: JSON.stringify(summary),
      },
      { attempt_id: attemptId },
    )
    recordDrifts(db(), summary, now())
    if (outcome === 'published' || outcome === 'unchanged') learnShape(db(), summary, now())
  }

  return {
    async staged(attemptId: string, summary: AttemptSummary): Promise<void> {
      db().write(() => {
        move(attemptId, 'staged')
        db().update('attempt', { summary: JSON.stringify(summary) }, { attempt_id: attemptId })
      })
    },

    async committing(attemptIds: readonly string[]): Promise<void> {
      db().write(() => {
        // Where an earlier commit has left a doubt, the end of this one does not lift it.
        for (const attemptId of attemptIds) doubt(owned(attemptId).chunk, 'coalesce(doubted_by, ?)', attemptId)
      })
    },

    async published(attemptId: string, summary: AttemptSummary, restatements: readonly Restatement[]): Promise<void> {
      db().write(() => {
        const { pipeline, client } = move(attemptId, 'published').chunk
        finish(attemptId, 'published', summary)
        for (const { day, rows, rejected, fingerprint, totals } of summary.days) {
          db().insert(
            'day',
            {
              pipeline,
              client,
              day,
              rows,
              rejected,
              fingerprint,
              totals: JSON.stringify(totals),
              attempt_id: attemptId,
              published_at: summary.finishedAt,
              doubted_by: null,
            },
            ['pipeline', 'client', 'day'],
          )
        }
        for (const { day, added, removed, rowsBefore, rowsAfter, totalsBefore, totalsAfter, at } of restatements) {
          db().insert('restatement', {
            pipeline,
            client,
            day,
            attempt_id: attemptId,
            added,
            removed,
            rows_before: rowsBefore,
            rows_after: rowsAfter,
            totals_before: JSON.stringify(totalsBefore),
            totals_after: JSON.stringify(totalsAfter),
            at,
          })
        }
      })
    },

    async unchanged(attemptId: string, summary: AttemptSummary): Promise<void> {
      db().write(() => {
        doubt(move(attemptId, 'unchanged').chunk, 'NULL')
        finish(attemptId, 'unchanged', summary)
      })
    },

    async settle(attemptId: string, settlement: Settlement, summary: AttemptSummary): Promise<void> {
      const { state, problem, certain, notBefore = 0, parts } = settlement
      db().write(() => {
        const { chunk, runId } = move(attemptId, state)
        if (certain) doubt(chunk, 'nullif(doubted_by, ?)', attemptId)
        db().update(
          'chunk',
          {
            problem_code: problem.code,
            problem_message: problem.message,
            problem_hint: problem.hint,
            not_before: Math.ceil(notBefore),
          },
          { attempt_id: attemptId },
        )
        finish(attemptId, problem.code, summary)
        if (parts !== undefined) replace(attemptId, runId, chunk, parts)
      })
    },
  }
}
