import type { Member } from '../warehouse/warehouse.ts'
import type { AttemptSummary, Claim, Restatement } from './ledger.ts'

/** What the ledger has of a publication. */
export interface Recorded {
  readonly state: 'published' | 'unchanged'
  readonly summary: AttemptSummary
  readonly restatements: readonly Restatement[]
}

/** A chunk that is staged and waits to be published, by whichever process. */
export interface StagedChunk {
  readonly claim: Claim
  readonly member: Member
  readonly summary: AttemptSummary
  /** Whether the process that has staged it is gone, so that whoever finds it answers for it. */
  readonly orphaned: boolean
}

/** How processes publish into one table after one another, and what others have staged. */
export interface PublishingLedger {
  /** Takes a table for so many milliseconds, or longer by taking it again; false while another holder has it. */
  takeTable(table: string, holder: string, ms: number): Promise<boolean>
  /** Lets go of a table. */
  leaveTable(table: string, holder: string): Promise<void>
  /** Served chunks of a pipeline that other processes have staged; not those that were withdrawn, or that have waited for longer than an hour. */
  stagedByOthers(pipeline: string): Promise<StagedChunk[]>
  /** Which of these attempts are published or unchanged, by attempt id. */
  recorded(attemptIds: readonly string[]): Promise<Map<string, Recorded>>
  /** Keeps others from publishing what an attempt has staged. */
  withdraw(attemptId: string): Promise<void>
}
