import type { Day, Window } from '../chunk.ts'
import type { ChunkRecord, RunProgress, RunRequest } from './ledger.ts'
import type { Priority } from './pace.ts'
import type { ChunkState } from './states.ts'

/** Which chunks are listed; what is left out does not matter. */
export interface ChunkFilter {
  readonly pipeline?: string
  readonly client?: string
  readonly state?: ChunkState
  readonly run?: string
  /** The first day of the chunk. */
  readonly from?: Day
}

/** A chunk as it is listed. Instants in epoch milliseconds. */
export interface ListedChunk extends ChunkRecord {
  readonly priority: Priority
  /** Whether daemons work on it; otherwise only who names its run. */
  readonly served: boolean
  /** When its state was last changed. */
  readonly updatedAt: number
}

/** Where in the list of chunks a page begins: behind this one. */
export type ChunkKey = readonly [run: string, client: string, from: Day]

/** A run as it is listed. Instants in epoch milliseconds. */
export interface ListedRun {
  readonly id: string
  readonly pipeline: string
  readonly command: RunRequest['command']
  readonly window: Window
  /** How many clients were named. */
  readonly clients: number
  readonly force: boolean
  readonly missing: boolean
  readonly startedAt: number
  readonly finishedAt: number | null
  readonly progress: RunProgress
}

/** Where in the list of runs a page begins: behind this one. */
export type RunKey = readonly [startedAt: number, run: string]

/** What a person or a program of his has done to runs and chunks. */
export interface OperatorAction {
  /** Epoch milliseconds. */
  readonly at: number
  readonly who: string
  readonly action: 'approve' | 'retry' | 'backfill'
  /** What it was done to, for people. */
  readonly subject: string
  readonly outcome: string
}

/** What the ledger lists, page by page, and what operators have done. */
export interface LedgerLists {
  /** Chunks in an order that stays: by run, client and first day. */
  chunks(filter: ChunkFilter, limit: number, behind?: ChunkKey): Promise<ListedChunk[]>
  /** Runs, newest first; of one pipeline, or of all. */
  runs(filter: { readonly pipeline?: string; readonly finished?: boolean }, limit: number, behind?: RunKey): Promise<ListedRun[]>
  /** Keeps what an operator has done. */
  recordAction(action: Omit<OperatorAction, 'at'>): Promise<void>
  /** What operators have done, newest first. */
  actions(limit: number): Promise<OperatorAction[]>
}
