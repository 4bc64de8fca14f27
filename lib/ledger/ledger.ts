import type { Drift } from '../attempt/drift.ts'
import type { ReadField } from '../attempt/shape.ts'
import type { SourceTotal } from '../attempt/source-totals.ts'
import type { ColumnSummary, DaySummary } from '../attempt/summary.ts'
import type { Chunk, Day, Window } from '../chunk.ts'
import type { ErrorCode } from '../errors.ts'
import type { SpanIds } from '../trace.ts'
import type { Cost, DayChange, Member } from '../warehouse/warehouse.ts'
import type { AlertLedger } from './alerts.ts'
import type { GrantLedger } from './grants.ts'
import type { HomeLedger } from './homes.ts'
import type { LedgerLists } from './lists.ts'
import type { LedgerOverview } from './overview.ts'
import type { PaceLedger, Priority } from './pace.ts'
import type { PublishingLedger } from './publishing.ts'
import type { LedgerReader } from './reader.ts'
import type { BlockedChunk, Edge, Served, Serving } from './served.ts'
import type { ChunkState } from './states.ts'
import type { LedgerWork } from './work.ts'

/** What a run was asked to do. Two runs that were asked the same are the same run until it is finished. */
export interface RunRequest {
  /** `schedule`: what became due. `backfill`: what a person or a program asked for. */
  readonly command: 'backfill' | 'schedule'
  readonly pipeline: string
  /** Name of the API that is read: with the client, it is the account whose limits its chunks share. */
  readonly api: string
  readonly window: Window
  readonly clients: readonly string[]
  readonly force: boolean
  readonly missing: boolean
  /** Hash of the declared table: with another one, what is published already is not what is asked for. */
  readonly schemaHash: string
  /** Hash of the declared mapping, checks and totals. */
  readonly pipelineHash: string
}

/** A chunk that a run begins with. */
export interface RequestedChunk extends Chunk {
  /** Live chunks are claimed before those of backfills. Default `backfill`. */
  readonly priority?: Priority
}

/** One run: a plan and how far it has come. */
export interface Run {
  readonly id: string
  /** Whether an earlier process began it and did not finish. */
  readonly resumed: boolean
  readonly startedAt: number
}

/** A chunk that this process may work on, and nobody else. */
export interface Claim {
  readonly chunk: Chunk
  readonly runId: string
  readonly priority: Priority
  /** Whether it is published without comparing it with what was published before, because its run says so or because a person has approved it. */
  readonly force: boolean
  /** Random; names staging areas and warehouse jobs. */
  readonly attemptId: string
  /** Grows with every claim of any chunk. */
  readonly generation: number
  /** Which try of this chunk in this run it is; the first is 1. */
  readonly attempt: number
  /** The span of the attempt at this chunk before, where it ended and was traced. */
  readonly before?: SpanIds
}

/** Everything remembered of one attempt at a chunk; the rows themselves are not. Durations and instants in milliseconds. */
export interface AttemptSummary {
  readonly runId: string
  readonly pipeline: string
  readonly client: string
  readonly from: Day
  readonly to: Day
  readonly attempt: number
  readonly attemptId: string
  /** Attempts published in one transaction share it; null until then. */
  readonly groupId: string | null
  readonly headrace: string
  /** Hash of the declared table. */
  readonly schemaHash: string
  /** Hash of the declared mapping, checks and totals, those of the source too. */
  readonly pipelineHash: string
  readonly startedAt: number
  readonly finishedAt: number
  readonly api: {
    readonly requests: number
    readonly retries: number
    readonly waitedMs: number
    readonly bytes: number
    readonly pages: number
  }
  /** Of quotas that have a name, the least share that an answer said is left, 0 to 1. */
  readonly quotas: Readonly<Record<string, number>>
  readonly rows: {
    readonly extracted: number
    readonly staged: number
    readonly rejected: number
    readonly deduplicated: number
    readonly deleted: number
    readonly inserted: number
    /** Rows of the window in the table after the commit; null when nothing was committed. */
    readonly present: number | null
    /** Rows the window held when it was last published; null when it never was in full. */
    readonly previous: number | null
  }
  readonly rejectedBy: Readonly<Record<string, number>>
  readonly stagedBytes: number
  /** What the warehouse charged for staging and publishing it; null where nothing is charged, or nothing was published. */
  readonly cost: Cost | null
  readonly days: readonly DaySummary[]
  readonly columns: Readonly<Record<string, ColumnSummary>>
  /** Paths of the fields seen in the records that were looked at, sorted. */
  readonly fields: readonly string[]
  /** The fields that are read, counted by type over every record. */
  readonly reads: readonly ReadField[]
  /** What was different in the records. */
  readonly drifts: readonly Drift[]
  /** What the source states beside what was read, by column; absent in what an older headrace has written. */
  readonly sourceTotals?: readonly SourceTotal[]
  /** Its span, where it was traced. */
  readonly trace?: SpanIds
}

/** What the ledger believes the table holds of one client and day. */
export interface PublishedDay extends DaySummary {
  readonly client: string
  readonly attemptId: string
  /** Epoch milliseconds. */
  readonly publishedAt: number
  /** When it was read last, to be published or to be found unchanged; epoch milliseconds. */
  readonly readAt: number
  /** A commit of this day was begun and its end is not known: the table may hold something else. */
  readonly doubtful: boolean
}

/** A published day whose content changed when it was read again. */
export interface Restatement extends DayChange {
  readonly pipeline: string
  readonly client: string
  readonly rowsBefore: number
  readonly rowsAfter: number
  readonly totalsBefore: Readonly<Record<string, string>>
  readonly totalsAfter: Readonly<Record<string, string>>
  /** Epoch milliseconds. */
  readonly at: number
}

/** A drift as it is remembered: once, whoever saw it again. What it says of records is of the chunk that showed it first. */
export interface DriftRecord extends Drift {
  /** The chunk and the run that showed it first. */
  readonly first: {
    readonly client: string
    readonly window: Window
    readonly runId: string
    /** Epoch milliseconds. */
    readonly at: number
  }
  /** When a chunk last showed it, in epoch milliseconds. */
  readonly lastAt: number
  /** How many clients have shown it. */
  readonly clients: number
}

/** Why a chunk stopped. */
export interface Problem {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string | null
}

/** A chunk and what became of it. */
export interface ChunkRecord {
  readonly chunk: Chunk
  readonly state: ChunkState
  readonly runId: string
  readonly attempts: number
  readonly problem: Problem | null
  /** Epoch milliseconds before which it is not tried again; 0 when there is no such instant. */
  readonly notBefore: number
}

/** How an attempt ended, other than by publishing. */
export interface Settlement {
  readonly state: 'pending' | 'held' | 'failed' | 'parked'
  readonly problem: Problem
  /** Whether the table is certainly as it was before the attempt; otherwise days of a commit that had begun stay doubtful. */
  readonly certain: boolean
  /** Epoch milliseconds before which the chunk is not tried again; default none. */
  readonly notBefore?: number
  /**
   * With `pending`: windows that make up that of the chunk, which is replaced by a chunk for each, none of them tried yet; in the same transaction, so
   * that every day belongs to exactly one chunk of the run whatever happens. Default none: the chunk stays.
   */
  readonly parts?: readonly Window[]
}

/** Where the records of some chunks went, by the newest attempt at each. */
export interface StateTotals {
  readonly chunks: number
  readonly extracted: number
  readonly staged: number
  readonly rejected: number
  readonly deduplicated: number
  readonly inserted: number
  readonly deleted: number
}

/** Where every record of a run went, over all processes that worked on it. */
export interface RunTotals {
  /** By what became of the chunk; states that no chunk is in are left out. */
  readonly states: Readonly<Partial<Record<ChunkState, StateTotals>>>
  /** Published or confirmed chunks that hold no rows. */
  readonly emptyChunks: number
  readonly restatedDays: number
}

/** How many chunks of a run are in each state. */
export type RunProgress = Readonly<Record<ChunkState, number>>

/** Runs, and who works on which of their chunks. */
export interface RunLedger {
  /**
   * Begins a run, or takes up the unfinished run with the same request: then what is published stays done, and whatever did not work out
   * becomes pending again. Nothing begins, and the answer is undefined, when somebody else has answered one of the occasions. A run without
   * chunks is finished as it begins.
   */
  beginRun(request: RunRequest, chunks: Iterable<RequestedChunk>): Promise<Run>
  beginRun(request: RunRequest, chunks: Iterable<RequestedChunk>, serving: Serving): Promise<Run | undefined>
  /** Marks a run as finished: asked for again, it begins anew. */
  finishRun(runId: string): Promise<void>
  /**
   * Takes the next chunk that nobody else works on, for `leaseMs` milliseconds unless renewed: of one run, by its id, the oldest day first; or of
   * all that are served, live ones first, the newest day first, and clients in turn. When there is none, says in how many
   * milliseconds it is worth asking again, or that nothing is left.
   */
  claim(from: string | Served, leaseMs: number): Promise<Claim | { readonly waitMs: number } | undefined>
  /**
   * Ends as failed, with `UPSTREAM_UNPUBLISHED`, the served chunks of a pipeline for which one of those before it will publish nothing more by itself: a chunk of
   * these days is held there, or has failed, and none waits or is under way. Returns them.
   */
  failBlocked(pipeline: string, after: readonly Edge[]): Promise<BlockedChunk[]>
  /** Finishes the served runs in which nothing more happens, and returns how many. What is held or failed in them stays known. */
  finishServed(): Promise<number>
  /**
   * Gives another chance to a chunk that is held, failed or parked; with `force`, a held one is published whatever it was held for. Its run is served from now
   * on. Says whether there was such a chunk.
   */
  revive(runId: string, client: string, from: Day, force: boolean): Promise<boolean>
  /** Extends leases of this process; returns the attempts that lost theirs. */
  renew(attemptIds: readonly string[], leaseMs: number): Promise<string[]>
  /** Attempts that a living process works on. */
  aliveAttempts(): Promise<Set<string>>
}

/** What becomes of attempts. Every write fails with `LEASE_LOST` once another process has taken the chunk over. */
export interface AttemptLedger {
  /** Everything is in staging; if the chunk is served, other processes may publish it from here on. Again after rows were taken out. */
  staged(attemptId: string, summary: AttemptSummary, member: Member): Promise<void>
  /** A commit begins: from here until `published` the days are doubtful. */
  committing(attemptIds: readonly string[]): Promise<void>
  /** The commit is done and reconciled. */
  published(attemptId: string, summary: AttemptSummary, restatements: readonly Restatement[]): Promise<void>
  /** The table already holds what was read. */
  unchanged(attemptId: string, summary: AttemptSummary): Promise<void>
  /** The attempt ended without publishing. */
  settle(attemptId: string, settlement: Settlement, summary: AttemptSummary): Promise<void>
}

/** The durable record of runs, chunks, attempts, published days, grants, rate limits and alerts, shared by all processes that work on them. */
export interface Ledger
  extends RunLedger,
    Partial<HomeLedger>,
    AttemptLedger,
    PublishingLedger,
    LedgerReader,
    LedgerOverview,
    LedgerLists,
    LedgerWork,
    GrantLedger,
    PaceLedger,
    AlertLedger {
  close(): Promise<void>
}
