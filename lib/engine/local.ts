import type { RunContext } from '../attempt.ts'
import type { CompiledPipeline } from '../compile.ts'
import { asHeadraceError, TransientError } from '../errors.ts'
import { CHUNK_STATES } from '../ledger/states.ts'
import { runChunk } from '../run-chunk.ts'
import type { Slots } from './slots.ts'

/** How a run is told to end early. */
export interface Control {
  /** No new chunks; those under way are finished. */
  readonly stop: AbortSignal
  /** Those under way are given up as well. */
  readonly abort: AbortSignal
}

/** What the local engine needs besides the context of every attempt. */
export interface LocalEngine extends RunContext {
  readonly slots: Slots
}

/**
 * Works off a run in this process, until nothing is left that this process could do. Several processes may work on the same run: each takes
 * chunks that nobody else has, and waits for those that others have.
 */
export async function executeLocally(
  runId: string,
  compiled: CompiledPipeline,
  engine: LocalEngine,
  control: Control,
): Promise<void> {
  const underWay = new Map<string, { readonly controller: AbortController; readonly done: Promise<void> }>()
  const leaseMs = engine.options.leaseSeconds * 1_000
  const heartbeat = setInterval(() => void renew(engine, underWay, leaseMs), leaseMs / 4).unref()
  let broken: unknown
  const anyDone = (): Promise<unknown> => Promise.race([...underWay.values()].map(({ done }) => done))

  try {
    while (!control.stop.aborted && broken === undefined) {
      await engine.slots.available()
      if (underWay.size >= engine.options.stagedChunks) {
        await anyDone()
        continue
      }
      if (control.stop.aborted) break
      const claim = await engine.ledger.claim(runId, leaseMs)
      if (claim === undefined) {
        if (underWay.size === 0) break
        await anyDone()
      } else if ('waitMs' in claim) {
        await patience(claim.waitMs, anyDone, underWay.size > 0, engine, control)
      } else {
        const controller = new AbortController()
        const signal = AbortSignal.any([controller.signal, control.abort])
        const entered = Promise.withResolvers<void>()
        const reading: RunContext['reading'] = work => {
          const result = engine.slots.run(work)
          entered.resolve()
          return result
        }
        const done = runChunk(claim, compiled, { ...engine, reading }, signal)
          .then(result => {
            engine.observe({ type: 'chunk', chunk: claim.chunk, ...result })
            return countChunks(runId, compiled.pipeline.name, engine)
          })
          .catch((error: unknown) => {
            broken ??= error
          })
          .finally(() => underWay.delete(claim.attemptId))
        underWay.set(claim.attemptId, { controller, done })
        // Only now is its slot taken, so that the next turn sees the right number.
        await Promise.race([entered.promise, done])
      }
    }
    if (control.stop.aborted && underWay.size > 0) engine.observe({ type: 'draining', underWay: underWay.size })
    await Promise.all([...underWay.values()].map(({ done }) => done))
  } finally {
    clearInterval(heartbeat)
  }
  if (broken !== undefined) throw broken
}

/** Waits for a time, for a chunk under way, or for the end, whichever comes first. */
async function patience(
  ms: number,
  anyDone: () => Promise<unknown>,
  busy: boolean,
  engine: LocalEngine,
  { stop }: Control,
): Promise<void> {
  const early = new AbortController()
  const signal = AbortSignal.any([early.signal, stop])
  const slept = engine.sleep(ms, signal).catch(() => undefined)
  await (busy ? Promise.race([slept, anyDone()]) : slept)
  early.abort()
}

async function renew(
  { ledger, log }: LocalEngine,
  underWay: ReadonlyMap<string, { readonly controller: AbortController }>,
  leaseMs: number,
): Promise<void> {
  try {
    for (const attemptId of await ledger.renew([...underWay.keys()], leaseMs)) {
      underWay.get(attemptId)?.controller.abort(
        new TransientError('LEASE_LOST', {
          message: `attempt ${attemptId} no longer owns its chunk`,
          hint: 'Another process has taken it over while this one was stalled; it finishes the work. Nothing was overwritten.',
        }),
      )
    }
  } catch (error) {
    // The next beat tries again; an attempt that really lost its lease is stopped by the ledger before it publishes.
    log.warn({ event: 'lease.not_renewed', err: error }, asHeadraceError(error).message)
  }
}

async function countChunks(runId: string, pipeline: string, { ledger, metrics }: LocalEngine): Promise<void> {
  const progress = await ledger.progress(runId)
  for (const state of CHUNK_STATES) metrics.chunks.set({ pipeline, state }, progress[state])
}
