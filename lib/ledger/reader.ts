import type { KnownShape } from '../attempt/drift.ts'
import type { SourceTotal } from '../attempt/source-totals.ts'
import type { ColumnSummary } from '../attempt/summary.ts'
import type { Day, Window } from '../chunk.ts'
import type { ChunkRecord, DriftRecord, PublishedDay, Restatement, Run, RunProgress, RunRequest, RunTotals } from './ledger.ts'
import type { Priority } from './pace.ts'
import type { Occasion } from './served.ts'

/** How the published days of one client lie. */
export interface Extent {
  readonly client: string
  readonly first: Day
  readonly last: Day
  /** How many there are from the first to the last, those in doubt left out. */
  readonly certainDays: number
}

/** What a pipeline did lately: what is expected of it rests on that. */
export interface History {
  /** Median rows per day of each client, over its newest 28 published days. */
  readonly rowsPerDay: ReadonlyMap<string, number>
  /** Its newest chunks that were published or found unchanged, at most 200; instants in epoch milliseconds. */
  readonly chunks: readonly {
    readonly days: number
    readonly requests: number
    readonly startedAt: number
    readonly finishedAt: number
  }[]
}

/** A chunk that was published or found unchanged, by its counts. */
export interface PublishedChunk {
  readonly client: string
  readonly from: Day
  readonly to: Day
  readonly rows: number
  /** Epoch milliseconds. */
  readonly finishedAt: number
  /** Empty for what an older headrace has published. */
  readonly columns: Readonly<Record<string, ColumnSummary>>
  /** Empty where the source states nothing, or an older headrace has published. */
  readonly sourceTotals: readonly SourceTotal[]
}

/** Bytes billed for chunks of a pipeline, by when they finished. */
export interface BytesBilled {
  /** Within the last 24 hours. */
  readonly day: number
  /** Since the calendar month of UTC began. */
  readonly month: number
}

/** What is known of the last weeks of a pipeline. */
export interface Recent {
  /** Published days, of every client, by day and client. */
  readonly days: readonly PublishedDay[]
  /** Chunks with such days that were published or found unchanged within these weeks, roughly in the order they finished. */
  readonly chunks: readonly PublishedChunk[]
  /** Restatements made within these weeks, newest first. */
  readonly restatements: readonly Restatement[]
  readonly bytesBilled: BytesBilled
  /** Of quotas that have a name, the least share that was left within the last hour, 0 to 1. */
  readonly quotas: ReadonlyMap<string, number>
}

/** What the ledger knows. */
export interface LedgerReader {
  /** The unfinished run of a request, if there is one. */
  openRun(request: RunRequest): Promise<Run | undefined>
  /** The newest occasion of each schedule and client that was answered. */
  occasions(pipeline: string): Promise<Occasion[]>
  /** Windows of served chunks that are pending or parked, and so will be read from their first page: whoever wants these days can rely on their being read. */
  waiting(pipeline: string): Promise<{ readonly client: string; readonly window: Window; readonly priority: Priority }[]>
  /** Chunks of a run that are neither published nor unchanged. */
  chunksLeft(runId: string): Promise<ChunkRecord[]>
  /** How far a run has come. */
  progress(runId: string): Promise<RunProgress>
  /** Where the records of a run went. */
  totals(runId: string): Promise<RunTotals>
  /** Published days of one client within a window, by day. */
  days(pipeline: string, client: string, window: Window): Promise<PublishedDay[]>
  /** How the published days of each client lie; clients without any are left out. */
  extents(pipeline: string): Promise<Extent[]>
  /** Published days of one client, oldest first. */
  allDays(pipeline: string, client: string): Promise<PublishedDay[]>
  /** Clients with published days or known chunks. */
  clients(pipeline: string): Promise<string[]>
  /** Chunks that are held, failed or parked, and whose days have not all been published since; newest first. */
  problems(pipeline: string, runId: string | undefined, limit: number): Promise<ChunkRecord[]>
  /** The shape that published records of a pipeline had, and of one client in particular. */
  knownShape(pipeline: string, client: string): Promise<KnownShape>
  /** Drifts of a pipeline, held or published, those seen last first. */
  drifts(pipeline: string, limit: number): Promise<DriftRecord[]>
  /** Restatements of a pipeline, newest first. */
  restatements(pipeline: string, limit: number): Promise<Restatement[]>
  /** What is known of a pipeline since a day: one query for each part, whatever the number of clients. `now` in epoch milliseconds. */
  recent(pipeline: string, since: Day, now: number): Promise<Recent>
  /** What a pipeline did lately. */
  history(pipeline: string): Promise<History>
  /** When a run of this pipeline last finished, in epoch milliseconds. */
  lastFinished(pipeline: string): Promise<number | undefined>
}
