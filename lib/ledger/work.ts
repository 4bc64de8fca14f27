import type { Day, Window } from '../chunk.ts'
import type { Restatement } from './ledger.ts'

/** A stretch of time in epoch milliseconds; its end is not in it. */
export interface TimeRange {
  readonly from: number
  readonly until: number
}

/** What was done for a pipeline within some time: sums over the attempts that ended in it. Durations in milliseconds. */
export interface Work {
  readonly attempts: number
  /** Attempts that neither published nor found everything unchanged. */
  readonly stopped: number
  readonly extracted: number
  readonly rejected: number
  /** Tries of requests, those that were repeated among them. */
  readonly requests: number
  readonly retries: number
  /** How long requests waited for limits, and because an API asked for it. */
  readonly waitedMs: number
  /** What the warehouse charged: zero where nothing is charged. */
  readonly jobs: number
  readonly bytesBilled: number
  readonly slotMs: number
}

/** When the days of a chunk were read and published, or found unchanged. */
export interface Arrival {
  readonly client: string
  readonly window: Window
  /** Epoch milliseconds. */
  readonly at: number
}

/** A chunk that stands behind published days with rejects, and the rules they broke. */
export interface RejectedBy {
  readonly client: string
  /** How many of its records each rule has refused; some may be of days that were not asked about. */
  readonly rules: Readonly<Record<string, number>>
}

/** What the ledger knows of the work that was done, for whoever gives account of a week. */
export interface LedgerWork {
  /** What was done for a pipeline within some time. */
  work(pipeline: string, within: TimeRange): Promise<Work>
  /** Whenever days of a window were published or found unchanged, the first time first; by attempts that ended at an instant in epoch milliseconds or later. */
  arrivals(pipeline: string, window: Window, since: number): Promise<Arrival[]>
  /** Restatements of a pipeline made within some time, the first one first. */
  restatedWithin(pipeline: string, within: TimeRange): Promise<Restatement[]>
  /** Rejected records of the published days of a window, by client and day. */
  rejectedDays(
    pipeline: string,
    window: Window,
  ): Promise<{ readonly client: string; readonly day: Day; readonly rejected: number }[]>
  /** The chunks that stand behind them, each once. */
  rejectedBy(pipeline: string, window: Window): Promise<RejectedBy[]>
}
