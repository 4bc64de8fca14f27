import type { RunContext } from '../attempt/attempt.ts'
import type { CompiledPipeline } from '../compile.ts'
import { asHeadraceError, TransientError } from '../errors.ts'
import type { Observer } from '../events.ts'
import type { Claim, Ledger } from '../ledger/ledger.ts'
import type { Served } from '../ledger/served.ts'
import type { Log } from '../log.ts'
import type { Options } from '../options.ts'
import { runChunk } from '../run-chunk.ts'
import type { Slots } from './slots.ts'

/** How work is told to end early. */
export interface Control {
  /** No new chunks; those under way are finished. */
  readonly stop: AbortSignal
  /** Those under way are given up as well. */
  readonly abort: AbortSignal
}

/** How the chunk of a claim is read: its pipeline, and what its attempt may use. */
export interface Reading {
  readonly compiled: CompiledPipeline
  readonly context: Omit<RunContext, 'reading'>
}

/** What the engine needs of its surroundings. */
export interface EngineContext {
  readonly ledger: Ledger
  readonly options: Options
  readonly log: Log
  readonly observe: Observer
  readonly slots: Slots
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** Never asked for a pipeline that is not among those that are claimed from. */
  readingOf(claim: Claim): Reading
  /** Resolves when there may be something new to claim. */
  news(): Promise<void>
  /** Publishes what processes that are gone have staged; called when there is nothing to claim. */
  collect(): Promise<void>
  /** Called after every attempt. */
  onAttempt(claim: Claim): Promise<void>
  /** The ledger cannot be read or written. Rejects to end the work; resolves when it is worth going on. */
  onTrouble(error: unknown): Promise<void>
}

/** A chunk that this process works on. */
interface UnderWay {
  readonly controller: AbortController
  readonly done: Promise<void>
  /** Until when nobody else has it for certain, in milliseconds of this process: its lease, counted from before it was asked for. */
  heldUntil: number
}

/** How soon one looks again whether there is anything to do among what is served, when there is not. */
const POLL_MS = 1_000

/**
 * Works off chunks in this process: those of one run, by its id, until nothing is left that this process could do; or all that are served, until it is
 * told to stop. Any number of processes may do so on the same ledger: each takes chunks that nobody else has. Returns how many
 * chunks were given up because it was told to.
 */
export async function work(from: string | Served, engine: EngineContext, { stop, abort }: Control): Promise<number> {
  const { ledger, options, slots, observe } = engine
  const underWay = new Map<string, UnderWay>()
  const leaseMs = options.leaseSeconds * 1_000
  const heartbeat = setInterval(() => void renew(engine, underWay, leaseMs), leaseMs / 4).unref()
  const troubles: unknown[] = []
  let givenUp = 0
  const anyDone = (): Promise<unknown> => Promise.race([...underWay.values()].map(({ done }) => done))
  const allDone = (): Promise<unknown> => Promise.all([...underWay.values()].map(({ done }) => done))

  /** Waits for a time, for news, for a chunk under way, or for the end, whichever comes first. */
  async function patience(ms: number, news: Promise<void>): Promise<void> {
    const early = new AbortController()
    const slept = engine.sleep(ms, AbortSignal.any([early.signal, stop])).catch(() => undefined)
    await Promise.race(underWay.size > 0 ? [slept, news, anyDone()] : [slept, news])
    early.abort()
  }

  /** Begins an attempt; resolves once its slot is taken, so that the next look at the slots sees the right number. */
  async function begin(claim: Claim, heldUntil: number): Promise<void> {
    const controller = new AbortController()
    const signal = AbortSignal.any([controller.signal, abort])
    const entered = Promise.withResolvers<void>()
    const reading: RunContext['reading'] = read => {
      const result = slots.run(read)
      entered.resolve()
      return result
    }
    const { compiled, context } = engine.readingOf(claim)
    const pace: RunContext['pace'] = {
      acquire: async (request, asking) => {
        // Whoever stood still may have lost its chunk, and with it the slot of the account, and does not know yet.
        const attempt = underWay.get(claim.attemptId)
        if (attempt !== undefined && performance.now() > attempt.heldUntil) {
          await renew(engine, new Map([[claim.attemptId, attempt]]), leaseMs)
          if (performance.now() > attempt.heldUntil) controller.abort(leaseLost(claim.attemptId))
        }
        signal.throwIfAborted()
        return context.pace.acquire(request, asking)
      },
    }
    const done = runChunk(claim, compiled, { ...context, reading, pace }, signal)
      .then(result => {
        if (result.error?.code === 'ABORTED') givenUp++
        observe({ type: 'chunk', chunk: claim.chunk, ...result })
        return engine.onAttempt(claim)
      })
      .catch((error: unknown) => void troubles.push(error))
      .finally(() => underWay.delete(claim.attemptId))
    underWay.set(claim.attemptId, { controller, done, heldUntil })
    await Promise.race([entered.promise, done])
  }

  /** Takes the next chunk, or waits until there may be one. Says whether there is any use in going on. */
  async function next(): Promise<boolean> {
    if (troubles.length > 0) {
      const [first] = troubles.splice(0)
      await engine.onTrouble(first)
      return true
    }
    await slots.available()
    if (stop.aborted) return false
    if (underWay.size >= options.stagedChunks) {
      await anyDone()
      return true
    }
    // What begins while the ledger is asked may not be in its answer.
    const news = engine.news()
    const heldUntil = performance.now() + leaseMs
    const claim = await ledger.claim(from, leaseMs).catch((error: unknown) => {
      troubles.push(error)
      return null
    })
    if (claim === null) return true
    if (claim !== undefined && !('waitMs' in claim)) {
      await begin(claim, heldUntil)
      return true
    }
    await engine.collect().catch((error: unknown) => void troubles.push(error))
    if (typeof from !== 'string') {
      await patience(Math.min(claim?.waitMs ?? POLL_MS, POLL_MS), news)
    } else if (claim !== undefined) {
      await patience(claim.waitMs, news)
    } else {
      if (underWay.size === 0) return false
      await anyDone()
    }
    return true
  }

  try {
    while (!stop.aborted && (await next()));
    if (stop.aborted && underWay.size > 0) observe({ type: 'draining', underWay: underWay.size })
  } finally {
    await allDone()
    clearInterval(heartbeat)
  }
  if (troubles.length > 0) await engine.onTrouble(troubles[0])
  return givenUp
}

async function renew({ ledger, log }: EngineContext, underWay: ReadonlyMap<string, UnderWay>, leaseMs: number): Promise<void> {
  const attempts = new Map(underWay)
  const heldUntil = performance.now() + leaseMs
  try {
    const lost = new Set(await ledger.renew([...attempts.keys()], leaseMs))
    for (const [attemptId, attempt] of attempts) {
      if (lost.has(attemptId)) attempt.controller.abort(leaseLost(attemptId))
      else attempt.heldUntil = heldUntil
    }
  } catch (error) {
    // The next beat tries again; an attempt that really lost its lease is stopped by the ledger before it publishes.
    log.warn({ event: 'lease.not_renewed', err: error }, asHeadraceError(error).message)
  }
}

function leaseLost(attemptId: string): TransientError {
  return new TransientError('LEASE_LOST', {
    message: `attempt ${attemptId} no longer owns its chunk`,
    hint: 'Another process has taken it over while this one was stalled; it finishes the work. Nothing was overwritten.',
  })
}
