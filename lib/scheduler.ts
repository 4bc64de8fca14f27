import { type Client, type Config, resolveClients } from './config.ts'
import type { Worker } from './engine/worker.ts'
import { asHeadraceError } from './errors.ts'
import type { Log } from './log.ts'
import { type DueRun, planDue } from './plan.ts'
import { nextOccasion } from './schedule.ts'

/** How often it is looked what is due; sooner when the next occasion comes before. */
const TICK_MS = 15_000

/** How old the list of clients may be when it is planned for them: it may be a question to somebody's API. */
const CLIENTS_MS = 60_000

/** How long that question may take. */
const CLIENTS_PATIENCE_MS = 30_000

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
    const compiled = pipelines.map(pipeline => worker.compiled(pipeline))
    for (const due of await planDue(compiled, this.#clients, ledger, now)) await this.#begin(due)
    const finished = await ledger.finishServed()
    if (finished > 0) this.#log.info({ event: 'run.finished', runs: finished }, 'runs finished')
    if (now - this.#sweptAt >= SWEEP_MS) {
      await worker.sweep()
      this.#sweptAt = now
    }
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
    // Everything that is wanted waits to be read already: there is nothing to come to an end.
    if (chunks.length === 0) await ledger.finishRun(run.id)
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
