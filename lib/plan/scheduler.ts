import { chunkText } from '../chunk.ts'
import { type Client, type Config, resolveClients } from '../config.ts'
import type { Worker } from '../engine/worker.ts'
import { asHeadraceError } from '../errors.ts'
import { CHUNK_STATES, type ChunkState, PROBLEM_STATES } from '../ledger/states.ts'
import type { Log } from '../log.ts'
import type { Pipeline } from '../pipeline.ts'
import { type DueRun, planDue } from './plan.ts'
import { nextOccasion } from './schedule.ts'

/** How often it is looked what is due; sooner when the next occasion comes before. */
const TICK_MS = 15_000

/** How old the list of clients may be when it is planned for them: it may be a question to somebody's API. */
const CLIENTS_MS = 60_000

/** How long that question may take. */
const CLIENTS_PATIENCE_MS = 30_000

/** Chunks that need somebody, of one pipeline: beyond it they are only many. */
const MOST_PROBLEMS = 1_000

/** How often it is looked for what processes that died have left in staging. */
const SWEEP_MS = 3_600_000

/** Begins what becomes due. Any number of processes may do so on one ledger: of those who find the same, one begins it. */
export class Scheduler {
  readonly #config: Config
  readonly #log: Log
  readonly #stop: AbortSignal
  #clients: readonly Client[]
  #clientsAt: number | undefined
  #sweptAt = 0
  #tickAt = 0
  /** Pipelines that were told of because nobody here knows them. */
  readonly #unknown = new Set<string>()

  /** `clients` are those there are now. */
  constructor(config: Config, clients: readonly Client[], log: Log, stop: AbortSignal) {
    this.#config = config
    this.#clients = clients
    this.#log = log
    this.#stop = stop
  }

  /** The clients that were last planned for. */
  get clients(): readonly Client[] {
    return this.#clients
  }

  /** When it last came to its end, in epoch milliseconds; 0 before it has. */
  get tickAt(): number {
    return this.#tickAt
  }

  /** Begins what is due now, and puts in order what is over. Returns in how many milliseconds it is to be called again. */
  async tick(worker: Worker): Promise<number> {
    const { pipelines, ledger } = this.#config
    const now = worker.now()
    await this.#renewClients(worker, now)
    // Upstreams first: what is not yet begun there must not look as if nothing more came.
    const compiled = inOrder(pipelines).map(pipeline => worker.compiled(pipeline))
    for (const due of await planDue(compiled, this.#clients, ledger, now)) await this.#begin(due)
    await this.#skip()
    const finished = await ledger.finishServed()
    if (finished > 0) this.#log.info({ event: 'run.finished', runs: finished }, 'runs finished')
    if (now - this.#sweptAt >= SWEEP_MS) {
      await worker.sweep()
      this.#sweptAt = now
    }
    await this.#tellChunks(worker)
    const next = this.#tellNext(worker, now)
    worker.metrics.schedulerTick.set(now / 1_000)
    this.#tickAt = now
    return Math.max(1, Math.min(TICK_MS, next - worker.now()))
  }

  async #begin({ request, chunks, occasions }: DueRun): Promise<void> {
    const { ledger } = this.#config
    const planned = chunks.map(({ chunk, priority }) => ({ ...chunk, priority }))
    const run = await ledger.beginRun(request, planned, { served: true, occasions })
    const { pipeline, window } = request
    if (run === undefined) {
      this.#log.debug({ event: 'run.begun_elsewhere', pipeline }, 'another process has begun what is due')
      return
    }
    const reasons = Object.fromEntries(
      Map.groupBy(
        chunks.flatMap(chunk => chunk.reasons),
        reason => reason,
      )
        .entries()
        .map(([reason, all]) => [reason, all.length]),
    )
    this.#log.info(
      { event: 'run.started', run: run.id, pipeline, ...window, clients: request.clients.length, chunks: chunks.length, reasons },
      'due run started',
    )
  }

  /** Ends chunks that are not to wait for what a pipeline before theirs will not publish. */
  async #skip(): Promise<void> {
    for (const { name, after } of this.#config.pipelines) {
      const edges = after.filter(({ policy }) => policy === 'skip')
      if (edges.length === 0) continue
      for (const { chunk, runId, upstream, missing, by } of await this.#config.ledger.failBlocked(name, edges)) {
        const { pipeline, client, window } = chunk
        this.#log.error(
          { event: 'chunk.failed', pipeline, client, ...window, run: runId, upstream, missing, upstreamCode: by?.problem?.code },
          `${chunkText(chunk)}: not read, because ${upstream} has not published ${missing.length} of its days`,
        )
      }
    }
  }

  /** Tells how many chunks are in each state: of the runs that are not finished, and of all that need somebody. */
  async #tellChunks({ metrics, warn }: Worker): Promise<void> {
    const { pipelines, ledger } = this.#config
    const served = await ledger.openProgress(true)
    const byHand = await ledger.openProgress(false)
    for (const { name } of pipelines) {
      const problems = Map.groupBy(await ledger.problems(name, undefined, MOST_PROBLEMS), ({ state }) => state)
      for (const state of CHUNK_STATES) {
        const count = isProblem(state) ? (problems.get(state)?.length ?? 0) : (served.get(name)?.[state] ?? 0)
        metrics.chunks.set({ pipeline: name, state }, count)
        metrics.backfillChunks.set({ pipeline: name, state }, byHand.get(name)?.[state] ?? 0)
      }
    }
    for (const [name, { pending, parked }] of served) {
      if (pending + parked === 0 || this.#unknown.has(name) || pipelines.some(pipeline => pipeline.name === name)) continue
      this.#unknown.add(name)
      warn('PIPELINE_UNKNOWN', `${pending + parked} chunks of ${name} wait, a pipeline that this configuration does not have`)
    }
  }

  /** Asks again who is read. When that cannot be had, those known before are: an account too many or too few for a while is less than nothing at all. */
  async #renewClients(worker: Worker, now: number): Promise<void> {
    this.#clientsAt ??= now
    if (typeof this.#config.clients !== 'function' || now - this.#clientsAt < CLIENTS_MS) return
    this.#clientsAt = now
    try {
      const patience = AbortSignal.any([this.#stop, AbortSignal.timeout(CLIENTS_PATIENCE_MS)])
      this.#clients = await resolveClients(this.#config, undefined, patience)
    } catch (error) {
      if (this.#stop.aborted) return
      const { length } = this.#clients
      worker.warn('CLIENTS_OUTDATED', `${asHeadraceError(error).message}; going on with the ${length} known before`)
    }
  }

  /** Tells when each pipeline is due next, and returns the earliest, in epoch milliseconds. */
  #tellNext({ metrics }: Worker, now: number): number {
    const zones = new Set(this.#clients.map(({ timeZone }) => timeZone))
    let earliest = Number.POSITIVE_INFINITY
    for (const { name, schedule } of this.#config.pipelines) {
      const nexts = schedule.flatMap(one => [...zones].map(zone => nextOccasion(one, zone, now)))
      if (nexts.length === 0) continue
      const next = Math.min(...nexts)
      metrics.nextRun.set({ pipeline: name }, next / 1_000)
      earliest = Math.min(earliest, next)
    }
    return earliest
  }
}

/** Pipelines, each after those that it comes after. */
function inOrder(pipelines: readonly Pipeline[]): Pipeline[] {
  const ordered = new Set<Pipeline>()
  const add = (pipeline: Pipeline): void => {
    for (const { pipeline: name } of pipeline.after) for (const upstream of pipelines) if (upstream.name === name) add(upstream)
    ordered.add(pipeline)
  }
  for (const pipeline of pipelines) add(pipeline)
  return [...ordered]
}

function isProblem(state: ChunkState): boolean {
  return PROBLEM_STATES.some(problem => problem === state)
}
