import type { Chunk, Day } from '../chunk.ts'
import type { ChunkRecord } from './ledger.ts'

/** A time at which a schedule said that one client is due. */
export interface Occasion {
  /** Name of the schedule. */
  readonly schedule: string
  readonly client: string
  /** Epoch milliseconds. */
  readonly at: number
}

/** How a run begins, other than on behalf of the process that begins it. */
export interface Serving {
  /** Whether daemons work on it; otherwise only who names it. Taking up a run adds to this, and takes nothing away. Default false. */
  readonly served?: boolean
  /** The occasions it answers. When one of them, or a later one of its schedule and client, was answered before, nothing begins. Default none. */
  readonly occasions?: readonly Occasion[]
}

/** That a pipeline waits for another one. */
export interface Edge {
  readonly pipeline: string
  /** The share of the days of a chunk that need not be published by it, from 0 to below 1. */
  readonly gaps: number
}

/** A chunk that waits for another pipeline, and why. */
export interface BlockedChunk {
  readonly chunk: Chunk
  readonly runId: string
  /** The pipeline it waits for. */
  readonly upstream: string
  /** Days of it that the other has not certainly published. */
  readonly missing: readonly Day[]
  /** The newest chunk of the other that is to publish some of these days, or has not come to it; null when nobody has asked for them. */
  readonly by: ChunkRecord | null
}

/** What a process that serves every run works on, and how much of it at a time; over all processes together, because the ledger counts. */
export interface Served {
  /** The pipelines this process knows. */
  readonly pipelines: readonly {
    readonly name: string
    /** Chunks of it that may be read at the same time. */
    readonly atOnce: number
    /** A chunk waits until these have published its days for its client, and are not about to publish them anew. */
    readonly after: readonly Edge[]
  }[]
  /** Chunks of one client that may be read at the same time from one API. */
  readonly perAccount: number
}
