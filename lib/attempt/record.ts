import type { AttemptLedger, AttemptSummary, PublishedDay, Restatement } from '../ledger/ledger.ts'
import type { Recorded } from '../ledger/publishing.ts'
import type { Committed } from '../steps/commit.ts'
import { reconcile } from '../steps/reconcile.ts'
import type { Member } from '../warehouse/warehouse.ts'

/** A chunk that is staged, and published by whichever process. */
export interface StagedRecord {
  readonly member: Member
  /** As it was when everything was staged. */
  readonly summary: AttemptSummary
  /** What was published of its days before. */
  readonly published: readonly PublishedDay[]
}

/** Reconciles what a commit did for one chunk and writes it down in the ledger: from here on the chunk is done. */
export async function record(
  ledger: AttemptLedger,
  { member, summary: staged, published }: StagedRecord,
  publication: Committed,
  finishedAt: number,
): Promise<Recorded> {
  reconcile(member, publication)
  const { deleted, inserted, present, groupId, cost = null } = publication
  const rows = { ...staged.rows, deleted, inserted, present: present.reduce((sum, { rows }) => sum + rows, 0) }
  const summary = { ...staged, finishedAt, groupId, cost, rows }
  const restatements = restatementsOf(member, publication, published, finishedAt)
  const state = publication.outcome === 'unchanged' ? 'unchanged' : 'published'
  if (state === 'unchanged') await ledger.unchanged(member.attemptId, summary)
  else await ledger.published(member.attemptId, summary, restatements)
  return { state, summary, restatements }
}

function restatementsOf(
  { chunk, days }: Member,
  { changes }: Committed,
  published: readonly PublishedDay[],
  at: number,
): Restatement[] {
  return changes.flatMap(change => {
    const before = published.find(({ day }) => day === change.day)
    const after = days.find(({ day }) => day === change.day)
    if (before === undefined || after === undefined || (change.added === 0 && change.removed === 0)) return []
    return [
      {
        ...change,
        pipeline: chunk.pipeline,
        client: chunk.client,
        rowsBefore: before.rows,
        rowsAfter: after.rows,
        totalsBefore: before.totals,
        totalsAfter: after.totals,
        at,
      },
    ]
  })
}
