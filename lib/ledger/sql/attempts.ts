import { type Chunk, chunkText, type Window } from '../../chunk.ts'
import { TransientError } from '../../errors.ts'
import type { Member } from '../../warehouse/warehouse.ts'
import type { AttemptLedger, AttemptSummary, ChunkRecord, Restatement, Settlement } from '../ledger.ts'
import { ACTIVE_STATES, type ChunkState, sqlList, statesBefore } from '../states.ts'
import type { LedgerContext, Transaction } from './database.ts'
import { OFFERED_MS } from './publishing.ts'
import { chunkRecord } from './reader.ts'
import { pendingChunk } from './runs.ts'
import { learnShape, recordDrifts } from './shapes.ts'

const ACTIVE: readonly ChunkState[] = ACTIVE_STATES

/** What becomes of attempts. Every write fails with `LEASE_LOST` once the chunk belongs to another attempt. */
export function attempts({ db }: LedgerContext): AttemptLedger {
  /** The chunk of an attempt that is under way, if it is still this attempt's. */
  async function owned(tx: Transaction, attemptId: string): Promise<ChunkRecord> {
    const row = await tx.get('SELECT * FROM chunk WHERE attempt_id = ?', attemptId)
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

  async function move(tx: Transaction, attemptId: string, state: ChunkState): Promise<ChunkRecord> {
    const record = await owned(tx, attemptId)
    const moved = await tx.run(
      `UPDATE chunk SET state = ?, updated_at = ? WHERE attempt_id = ? AND state IN (${sqlList(statesBefore(state))})`,
      state,
      tx.now,
      attemptId,
    )
    if (moved === 1) return record
    throw new TransientError('LEASE_LOST', {
      message: `${chunkText(record.chunk)} is ${record.state} and cannot become ${state}`,
    })
  }

  /** Says by an expression of SQL which attempt has left the days of a chunk in doubt. */
  async function doubt(
    tx: Transaction,
    { pipeline, client, window }: Chunk,
    by: string,
    ...values: readonly string[]
  ): Promise<void> {
    await tx.run(
      `UPDATE day SET doubted_by = ${by} WHERE pipeline = ? AND client = ? AND day BETWEEN ? AND ?`,
      ...values,
      pipeline,
      client,
      window.from,
      window.to,
    )
  }

  /** Puts chunks that nobody has tried in the place of one. */
  async function replace(
    tx: Transaction,
    attemptId: string,
    runId: string,
    { pipeline, client }: Chunk,
    parts: readonly Window[],
  ): Promise<void> {
    const row = await tx.get('SELECT api, priority, served, force FROM chunk WHERE attempt_id = ?', attemptId)
    const kept = {
      api: String(row?.api),
      priority: String(row?.priority),
      served: Number(row?.served),
      force: Number(row?.force),
    }
    await tx.run('DELETE FROM chunk WHERE attempt_id = ?', attemptId)
    const of = { run_id: runId, pipeline, client, ...kept }
    await tx.insert(
      'chunk',
      parts.map(part => pendingChunk(of, part, tx.now)),
    )
  }

  async function finish(tx: Transaction, attemptId: string, outcome: string, summary: AttemptSummary): Promise<void> {
    const { extracted, staged, rejected, deduplicated, inserted, deleted } = summary.rows
    const { api, cost } = summary
    await tx.update(
      'attempt',
      {
        outcome,
        finished_at: tx.now,
        group_id: summary.groupId,
        extracted,
        staged,
        rejected,
        deduplicated,
        inserted,
        deleted,
        columns: JSON.stringify(summary.columns),
        source_totals: JSON.stringify(summary.sourceTotals ?? []),
        requests: api.requests,
        retries: api.retries,
        waited_ms: Math.round(api.waitedMs),
        jobs: cost?.jobs ?? 0,
        quotas: JSON.stringify(summary.quotas),
        bytes_billed: Math.round(cost?.bytesBilled ?? 0),
        slot_ms: Math.round(cost?.slotMs ?? 0),
        summary: JSON.stringify(summary),
      },
      { attempt_id: attemptId },
    )
    await recordDrifts(tx, summary)
    if (outcome === 'published' || outcome === 'unchanged') await learnShape(tx, summary)
  }

  return {
    async staged(attemptId: string, summary: AttemptSummary, member: Member): Promise<void> {
      await db.writeBehind(async tx => {
        await move(tx, attemptId, 'staged')
        const kept = { summary: JSON.stringify(summary), member: JSON.stringify(member) }
        await tx.update('attempt', kept, { attempt_id: attemptId })
        // Whoever takes up a run by its name wants to know what the API says then.
        const offer = 'UPDATE chunk SET offered_until = served * ? WHERE attempt_id = ?'
        await tx.run(offer, tx.now + OFFERED_MS, attemptId)
      })
    },

    async committing(attemptIds: readonly string[]): Promise<void> {
      if (attemptIds.length === 0) return
      await db.write(async tx => {
        for (const attemptId of attemptIds) {
          const { chunk } = await owned(tx, attemptId)
          // Where an earlier commit has left a doubt, the end of this one does not lift it.
          await doubt(tx, chunk, 'coalesce(doubted_by, ?)', attemptId)
        }
      })
    },

    async published(attemptId: string, summary: AttemptSummary, restatements: readonly Restatement[]): Promise<void> {
      await db.write(async tx => {
        const { pipeline, client } = (await move(tx, attemptId, 'published')).chunk
        await finish(tx, attemptId, 'published', summary)
        const days = summary.days.map(({ day, rows, rejected, fingerprint, totals }) => ({
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
        }))
        await tx.insert('day', days, ['pipeline', 'client', 'day'])
        const restated = restatements.map(({ day, added, removed, rowsBefore, rowsAfter, totalsBefore, totalsAfter, at }) => ({
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
        }))
        await tx.insert('restatement', restated)
      })
    },

    async unchanged(attemptId: string, summary: AttemptSummary): Promise<void> {
      await db.write(async tx => {
        const { chunk } = await move(tx, attemptId, 'unchanged')
        await doubt(tx, chunk, 'NULL')
        const { pipeline, client, window } = chunk
        const confirm = 'UPDATE day SET confirmed_at = ? WHERE pipeline = ? AND client = ? AND day BETWEEN ? AND ?'
        await tx.run(confirm, summary.finishedAt, pipeline, client, window.from, window.to)
        await finish(tx, attemptId, 'unchanged', summary)
      })
    },

    async settle(attemptId: string, settlement: Settlement, summary: AttemptSummary): Promise<void> {
      const { state, problem, certain, notBefore = 0, parts } = settlement
      await db.write(async tx => {
        const { chunk, runId } = await move(tx, attemptId, state)
        if (certain) await doubt(tx, chunk, 'nullif(doubted_by, ?)', attemptId)
        await tx.update(
          'chunk',
          {
            problem_code: problem.code,
            problem_message: problem.message,
            problem_hint: problem.hint,
            not_before: Math.ceil(notBefore),
          },
          { attempt_id: attemptId },
        )
        await finish(tx, attemptId, problem.code, summary)
        if (parts !== undefined) await replace(tx, attemptId, runId, chunk, parts)
      })
    },
  }
}
