import type { AttemptSummary } from '../ledger.ts'
import { mayBeAlive } from '../owner.ts'
import type { Priority } from '../pace.ts'
import type { PublishingLedger, Recorded, StagedChunk } from '../publishing.ts'
import { ACTIVE_STATES, sqlList } from '../states.ts'
import type { LedgerContext, SqlRow } from './database.ts'
import { chunkRecord } from './reader.ts'
import { restatement } from './recent.ts'

/** How long others may publish what a process has staged, in milliseconds. What is older is read again: the API may say something else by now. */
export const OFFERED_MS = 3_600_000

/** How processes publish into one table after one another, and what others have staged. */
export function publishing({ db, owner }: LedgerContext): PublishingLedger {
  function stagedChunk(row: SqlRow, now: number): StagedChunk {
    const { chunk, runId, attempts } = chunkRecord(row)
    return {
      claim: {
        chunk,
        runId,
        priority: row.priority as Priority,
        force: Number(row.force) === 1,
        attemptId: String(row.attempt_id),
        generation: Number(row.generation),
        attempt: attempts,
      },
      member: JSON.parse(String(row.member)),
      summary: JSON.parse(String(row.summary)),
      orphaned: Number(row.lease_until) <= now || !mayBeAlive(String(row.lease_owner)),
    }
  }

  async function recordOf(attemptId: string): Promise<Recorded | undefined> {
    const row = await db.get(
      "SELECT outcome, summary FROM attempt WHERE attempt_id = ? AND outcome IN ('published', 'unchanged')",
      attemptId,
    )
    if (row === undefined) return undefined
    const summary: AttemptSummary = JSON.parse(String(row.summary))
    const restated = await db.all(
      'SELECT * FROM restatement WHERE pipeline = ? AND client = ? AND attempt_id = ? ORDER BY day',
      summary.pipeline,
      summary.client,
      attemptId,
    )
    return {
      state: row.outcome === 'unchanged' ? 'unchanged' : 'published',
      summary,
      restatements: restated.map(restatement),
    }
  }

  return {
    async takeTable(table, holder, ms) {
      return db.writeBehind(async tx => {
        const held = await tx.get('SELECT holder, owner, held_until FROM commit_turn WHERE table_name = ?', table)
        const free =
          held === undefined || held.holder === holder || Number(held.held_until) <= tx.now || !mayBeAlive(String(held.owner))
        if (free) await tx.insert('commit_turn', [{ table_name: table, holder, owner, held_until: tx.now + ms }], ['table_name'])
        return free
      })
    },

    async leaveTable(table, holder) {
      await db.writeBehind(tx => tx.run('DELETE FROM commit_turn WHERE table_name = ? AND holder = ?', table, holder))
    },

    async stagedByOthers(pipeline) {
      const now = await db.now()
      const rows = await db.all(
        'SELECT c.*, a.generation, a.member, a.summary FROM chunk c JOIN attempt a ON a.attempt_id = c.attempt_id ' +
          // Staged are active; SQLite takes the index of those only when it is told.
          `WHERE c.pipeline = ? AND c.state IN (${sqlList(ACTIVE_STATES)}) AND c.state = 'staged' AND c.offered_until > ? AND c.lease_owner <> ? ` +
          'ORDER BY a.generation',
        pipeline,
        now,
        owner,
      )
      return rows.map(row => stagedChunk(row, now))
    },

    async recorded(attemptIds) {
      const found = new Map<string, Recorded>()
      for (const attemptId of attemptIds) {
        const recorded = await recordOf(attemptId)
        if (recorded !== undefined) found.set(attemptId, recorded)
      }
      return found
    },

    async withdraw(attemptId) {
      await db.writeBehind(tx => tx.update('chunk', { offered_until: 0 }, { attempt_id: attemptId }))
    },
  }
}
