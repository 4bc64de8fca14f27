import { type Config, resolveClients } from './config.ts'
import { openWorker, type Worker, type WorkerHost } from './engine/worker.ts'
import { asHeadraceError, ConfigError, type HeadraceError } from './errors.ts'
import { backoff } from './http/retry.ts'
import { round } from './monitor/rounds.ts'
import { GRANT_KEY } from './oauth/seal.ts'
import type { Pipeline } from './pipeline.ts'
import { Scheduler } from './plan/scheduler.ts'
import type { Address, Listening } from './server/app.ts'
import { serve } from './server/server.ts'

/** What surrounds a daemon. */
export interface DaemonHost extends WorkerHost {
  /** Where its server listens. Default nowhere. */
  readonly address?: Address
}

/** How long the daemon waits when the ledger cannot be read or written: at random, up to twice as long after each time in a row. */
const TROUBLE = { baseMs: 1_000, capMs: 30_000 }

/** Waited at least, so that what is down is not asked without pause. */
const LEAST_WAIT_MS = 250

/** How soon it is looked again what is due after that has failed. */
const TICK_AGAIN_MS = 5_000

/**
 * Reads what is due, and what daemons are asked for, until it is told to stop. A ledger or a warehouse that is away for a while does not end it. Returns
 * the exit code: 0 when everything under way was finished, 130 when some of it was given up. Throws what keeps it from
 * starting at all.
 */
export async function daemon(config: Config, host: DaemonHost): Promise<0 | 130> {
  const { pipelines, settings } = config
  const { log, control } = host
  const clients = await resolveClients(config, undefined, control.stop)
  const over = new AbortController()
  const stop = AbortSignal.any([control.stop, over.signal])
  const scheduler = new Scheduler(config, clients, log, stop)
  const worker = await openWorker(config, pipelines, () => scheduler.clients.map(({ id }) => id), host)
  const { now } = worker
  const told = {
    clients: () => scheduler.clients,
    health: () => ({ tickAt: scheduler.tickAt, draining: control.stop.aborted }),
  }
  let server: Listening | undefined
  try {
    if (host.address !== undefined) server = await serve({ ...host.address, config, registry: host.registry, log, now, ...told })
    await prepareTables(pipelines, worker)
    log.info(
      {
        event: 'daemon.started',
        pipelines: pipelines.map(({ name }) => name),
        clients: clients.length,
        url: server?.url,
      },
      'daemon started',
    )
    const scheduling = schedule(scheduler, worker, host, stop)
    const watching = lookAfter(config, scheduler, worker, host, stop)
    const givenUp = await worker.work(
      {
        pipelines: pipelines.map(({ name, after }) => ({ name, atOnce: settings.pipelineConcurrency, after })),
        perAccount: settings.accountConcurrency,
      },
      { onAttempt: async () => undefined, onTrouble: troubles(worker, host, stop) },
    )
    await Promise.all([scheduling, watching])
    log.info({ event: 'daemon.stopped', givenUp }, 'daemon stopped')
    return givenUp > 0 ? 130 : 0
  } finally {
    over.abort()
    await server?.close()
    await worker.close()
  }
}

/** Creates the tables that are not there, and finds out everything that is wrong with the others, at once. */
async function prepareTables(pipelines: readonly Pipeline[], worker: Worker): Promise<void> {
  const problems: HeadraceError[] = []
  for (const pipeline of pipelines) {
    try {
      await worker.prepare(pipeline)
    } catch (thrown) {
      const error = asHeadraceError(thrown)
      if (error.kind !== 'config') throw error
      problems.push(error)
    }
  }
  const [first] = problems
  if (first === undefined) return
  if (problems.length === 1) throw first
  throw new ConfigError('CONFIG_INVALID', {
    message: problems.map(({ code, message }) => `${code}: ${message}`).join('\n'),
    hint: [...new Set(problems.flatMap(({ hint }) => hint ?? []))].join('\n'),
  })
}

/** Looks what is due until it is told to stop, whatever happens. */
async function schedule(scheduler: Scheduler, worker: Worker, { log }: DaemonHost, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    let waitMs = TICK_AGAIN_MS
    try {
      waitMs = await scheduler.tick(worker)
      worker.wake()
    } catch (error) {
      worker.metrics.daemonFailures.inc({ part: 'scheduler' })
      log.error({ event: 'scheduler.failed', err: error }, `what is due is not known: ${asHeadraceError(error).message}`)
    }
    await worker.sleep(waitMs, stop).catch(() => undefined)
  }
}

/** Looks what is wrong with the data, until it is told to stop. */
async function lookAfter(
  config: Config,
  scheduler: Scheduler,
  worker: Worker,
  host: DaemonHost,
  stop: AbortSignal,
): Promise<void> {
  const { log, grantKey = process.env[GRANT_KEY] } = host
  const { metrics, now, sleep } = worker
  while (!stop.aborted) {
    try {
      await round({ config, clients: scheduler.clients, grantKey, now: now(), log, metrics })
    } catch (error) {
      metrics.daemonFailures.inc({ part: 'monitors' })
      log.error({ event: 'monitors.failed', err: error }, `what is wrong is not known: ${asHeadraceError(error).message}`)
    }
    await sleep(config.settings.watchSeconds * 1_000, stop).catch(() => undefined)
  }
}

/** Tells of a ledger that cannot be read or written, and waits, longer each time in a row. */
function troubles({ metrics, now, sleep }: Worker, { log }: DaemonHost, stop: AbortSignal): (error: unknown) => Promise<void> {
  let inARow = 0
  let last = Number.NEGATIVE_INFINITY
  return async error => {
    inARow = now() - last > 2 * TROUBLE.capMs ? 1 : inARow + 1
    const waitMs = LEAST_WAIT_MS + backoff(inARow, TROUBLE)
    metrics.daemonFailures.inc({ part: 'engine' })
    log.error({ event: 'ledger.failed', err: error, waitMs }, `nothing is begun for a while: ${asHeadraceError(error).message}`)
    await sleep(waitMs, stop).catch(() => undefined)
    last = now()
  }
}
