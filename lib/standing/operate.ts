import { type Chunk, chunkText, dayCount, windowText } from '../chunk.ts'
import type { CompiledPipeline } from '../compile.ts'
import { ConfigError } from '../errors.ts'
import type { Ledger, Run } from '../ledger/ledger.ts'
import type { ChunkKey, ListedChunk } from '../ledger/lists.ts'
import { type ChunkState, PROBLEM_STATES } from '../ledger/states.ts'
import { planBackfill, requestOf, type Wanted } from '../plan/plan.ts'

/** The most chunks that one request may ask for: all of them are begun in one transaction. */
const MOST_CHUNKS = 100_000

/** A run that daemons work on, and what it began with. */
export interface Requested {
  readonly run: Run
  /** The chunks it began with; of one that was taken up, those that are left. */
  readonly chunks: readonly Chunk[]
}

/** Has daemons read a window of days; the same request again takes up the unfinished run. Throws `USAGE` when it is too much for one run. */
export async function requestBackfill(
  compiled: CompiledPipeline,
  wanted: Wanted,
  who: string,
  ledger: Ledger,
): Promise<Requested> {
  const { pipeline } = compiled
  const { window, clients } = wanted
  const most = clients.length * Math.ceil(dayCount(window) / pipeline.chunk.days)
  if (most > MOST_CHUNKS) {
    throw new ConfigError('USAGE', {
      message: `${windowText(window)} of ${clients.length} clients is up to ${most} chunks, ${MOST_CHUNKS} at most in one run`,
      hint: 'Ask for fewer days, or for fewer clients. Nothing was begun.',
    })
  }
  const chunks = await Array.fromAsync(planBackfill(pipeline, wanted, ledger))
  const run = await ledger.beginRun(requestOf(compiled, wanted), chunks, { served: true })
  // Only occasions that somebody else has answered keep a run from beginning, and it has none.
  if (run === undefined) throw new Error('a run without occasions did not begin')
  const left = run.resumed ? (await ledger.chunksLeft(run.id)).map(({ chunk }) => chunk) : chunks
  const subject = `${pipeline.name}, ${windowText(window)}, ${clients.length} clients`
  await ledger.recordAction({ who, action: 'backfill', subject, outcome: `run ${run.id}` })
  return { run, chunks: left }
}

/** A chunk that somebody wanted to revive. */
export interface Revived {
  /** As it is now. */
  readonly chunk: ListedChunk
  /** Whether it was revived; otherwise it is in a state that has nothing to be revived from, and nothing was changed. */
  readonly done: boolean
}

/**
 * Gives a chunk another chance with daemons: `retry` one that is held, failed or parked; `approve` one that is held, which is then published whatever it was held
 * for, unless too many of its rows are rejected. Undefined when there is no such chunk.
 */
export async function revive(
  action: 'approve' | 'retry',
  key: ChunkKey,
  who: string,
  ledger: Ledger,
): Promise<Revived | undefined> {
  const [run, client, from] = key
  const [before] = await ledger.chunks({ run, client, from }, 1)
  if (before === undefined) return undefined
  const states: readonly ChunkState[] = action === 'approve' ? ['held'] : PROBLEM_STATES
  const done = states.includes(before.state) && (await ledger.revive(run, client, from, action === 'approve'))
  const subject = `${chunkText(before.chunk)} of run ${run}`
  await ledger.recordAction({ who, action, subject, outcome: done ? `was ${before.state}` : `refused: it is ${before.state}` })
  const [chunk = before] = await ledger.chunks({ run, client, from }, 1)
  return { chunk, done }
}
