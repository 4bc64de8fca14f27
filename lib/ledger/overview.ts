import type { Day, Window } from '../chunk.ts'
import type { PublishedDay, RunProgress } from './ledger.ts'
import type { BlockedChunk, Edge } from './served.ts'

/** How the published days of one client lie, and what is known of those up to the day that was asked about. */
export interface ExtentUpTo {
  readonly client: string
  readonly first: Day
  readonly last: Day
  /** How many there are: fewer than from the first to the last where there are gaps. */
  readonly days: number
  readonly upTo: {
    readonly days: number
    /** Days whose last commit was interrupted, and the first of them. */
    readonly doubtful: number
    readonly doubtfulFrom: Day | null
    /** The newest publication, in epoch milliseconds. */
    readonly publishedAt: number | null
  }
}

/** The first day of the chunks of a client that are not done, and of those among them that wait or are under way. */
export interface Undone {
  readonly from: Day
  readonly openFrom: Day | null
}

/** A published day in little. */
export type CalendarDay = Pick<PublishedDay, 'client' | 'day' | 'rows' | 'doubtful'>

/** What the ledger knows of many clients at once, each with one query. */
export interface LedgerOverview {
  /** How the published days of a pipeline lie: of every client that has some, or of one. */
  extentsUpTo(pipeline: string, through: Day, client?: string): Promise<ExtentUpTo[]>
  /** The published days of a pipeline, oldest first: of every client that has some, or of one. */
  publishedDays(pipeline: string, client?: string): Promise<Map<string, Day[]>>
  /** By client, what was asked for and is neither published nor found unchanged by the chunk that was to do it. */
  undone(pipeline: string): Promise<Map<string, Undone>>
  /**
   * Chunks of the runs that are not finished, by pipeline and state: of those that are served, or of those that a process of its own works on, or has left.
   * Of every pipeline, whether anybody knows it or not.
   */
  openProgress(served: boolean): Promise<Map<string, RunProgress>>
  /** Served chunks of a pipeline that wait for those before it, once for each of them, newest days first; at most `limit`. */
  blocked(pipeline: string, after: readonly Edge[], limit: number): Promise<BlockedChunk[]>
  /** The published days of a pipeline within a window, of every client. */
  calendar(pipeline: string, window: Window): Promise<CalendarDay[]>
  /** The run that has last published days of a client up to a day; null when there is none. */
  publishedBy(pipeline: string, client: string, through: Day): Promise<string | null>
}
