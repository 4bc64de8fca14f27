import { setTimeout as delay } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import { openAccess, type RunAccess } from '../access.ts'
import { openPacer } from '../attempt/api.ts'
import type { FaultPoint, RunContext } from '../attempt/attempt.ts'
import { Telemetry, type TelemetryContext } from '../attempt/telemetry.ts'
import { turnsOf } from '../attempt/turns.ts'
import type { Chunk } from '../chunk.ts'
import { type CompiledPipeline, compilePipeline } from '../compile.ts'
import type { Config } from '../config.ts'
import type { Connector } from '../connector.ts'
import { ConfigError, type WarningName } from '../errors.ts'
import type { Observer } from '../events.ts'
import { createDispatcher } from '../http/client.ts'
import { RetryBudget } from '../http/retry.ts'
import type { Claim } from '../ledger/ledger.ts'
import type { Served } from '../ledger/served.ts'
import { openLineage } from '../lineage/lineage.ts'
import type { Log } from '../log.ts'
import { createMetrics, type Metrics, startAtZero } from '../metrics.ts'
import type { OAuth } from '../oauth/oauth.ts'
import { GRANT_KEY } from '../oauth/seal.ts'
import type { Pacer } from '../pace/pacer.ts'
import type { Pipeline } from '../pipeline.ts'
import { Committer } from '../steps/commit.ts'
import { inSpan } from '../trace.ts'
import type { WarehouseCall } from '../warehouse/warehouse.ts'
import { type Control, type EngineContext, work } from './engine.ts'
import { settleHome } from './home.ts'
import { Slots } from './slots.ts'

/** What surrounds a worker. */
export interface WorkerHost {
  readonly log: Log
  readonly registry: Registry
  readonly observe: Observer
  readonly control: Control
  /** Epoch milliseconds; default the clock. */
  readonly now?: () => number
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
  /** Encrypts the tokens in the ledger; default the environment variable `HEADRACE_GRANT_KEY`. */
  readonly grantKey?: string
  /** Called at each place where a process may die; for tests. */
  readonly fault?: (point: FaultPoint, attempt: { readonly chunk: Chunk; readonly attemptId: string }) => void | Promise<void>
}

/** This process, ready to work on chunks of some pipelines. */
export interface Worker {
  /** One of the pipelines it was opened with, made ready. */
  compiled(pipeline: Pipeline): CompiledPipeline
  readonly metrics: Metrics
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** Says something a person should know, of no chunk in particular. */
  warn(name: WarningName, message: string): void
  /** Creates the table of a pipeline, or finds out that it is as it is declared. */
  prepare(pipeline: Pipeline): Promise<void>
  /** Removes what processes that died have left in staging. */
  sweep(): Promise<void>
  /** Has it look at once whether there is something new to claim. */
  wake(): void
  /** Works off a run, or all that is served; see `work`. */
  work(from: string | Served, told: Pick<EngineContext, 'onAttempt' | 'onTrouble'>): Promise<number>
  close(): Promise<void>
}

/**
 * How long a commit waits for others while chunks are being read. Those that are read side by side are often staged within a moment, and
 * one by one they cost an embedded warehouse more than twice the work, because each rewrites what the last one left unfilled.
 */
const GATHER_MS = 100

/** What everything in this process that asks one API shares. */
interface Api {
  readonly connector: Connector<unknown>
  readonly pacer: Pacer
  readonly budget: RetryBudget
}

/**
 * Makes this process ready to work on chunks of some pipelines: one pace and one budget of retries for each API, one access for each way to
 * authorize, one committer for all tables. `clients` are those that are read now. Throws a `ConfigError` for what can never work.
 */
export async function openWorker(
  { ledger, warehouse, settings, lineage: target }: Config,
  pipelines: readonly Pipeline[],
  clients: () => readonly string[],
  host: WorkerHost,
): Promise<Worker> {
  const { log, observe, control } = host
  const compiled = new Map(pipelines.map(pipeline => [pipeline.name, compilePipeline(pipeline, warehouse)]))
  const metrics = createMetrics(host.registry)
  for (const { name, source } of pipelines) startAtZero(metrics, name, source.name)
  const call: WarehouseCall = {
    signal: control.abort,
    warn: (name, message) => {
      metrics.warnings.inc({ name })
      log.warn({ event: 'warning', name }, message)
      observe({ type: 'warning', name, message, chunk: null })
    },
  }
  const now = host.now ?? Date.now
  const sleep = host.sleep ?? (async (ms: number, signal: AbortSignal) => void (await delay(ms, undefined, { signal })))
  const lineage =
    target === undefined
      ? undefined
      : await openLineage(target, pipelines, {
          warehouse,
          now,
          sleep,
          counted: outcome => metrics.lineageEvents.inc({ outcome }),
          losing: reason => call.warn('LINEAGE_LOST', `events of lineage are dropped from now on: ${reason}`),
        })
  const telling: TelemetryContext = { log, metrics, observe, ...(lineage === undefined ? {} : { lineage }) }
  const apis = openApis(pipelines, connector => openPacer(connector, ledger, { options: settings, metrics, now, sleep }))
  const accesses = new Map<OAuth | undefined, RunAccess>()
  for (const { source } of pipelines) {
    if (accesses.has(source.auth)) continue
    const grantKey = host.grantKey ?? process.env[GRANT_KEY]
    accesses.set(source.auth, await openAccess(source.auth, clients, { ledger, metrics, grantKey, now, sleep, warn: call.warn }))
  }

  const slots = new Slots(settings.concurrency)
  /** Waits for those who may be about to join a commit, as long as there are any. */
  async function company(): Promise<void> {
    const early = new AbortController()
    const slept = sleep(GATHER_MS, AbortSignal.any([early.signal, control.abort])).catch(() => undefined)
    await Promise.race([slept, slots.idle()])
    early.abort()
  }
  const dispatcher = createDispatcher()
  const turns = turnsOf({
    ledger,
    warehouse,
    options: settings,
    log,
    signal: control.abort,
    now,
    sleep,
    telemetry: claim => new Telemetry(claim, known(compiled, claim.chunk.pipeline), telling),
  })
  const shared = {
    warehouse,
    ledger,
    dispatcher,
    options: settings,
    ...telling,
    now,
    sleep,
    ...(host.fault === undefined ? {} : { fault: host.fault }),
    committer: new Committer(warehouse, {
      turns,
      call,
      groupChunks: settings.groupChunks,
      groupRows: settings.groupRows,
      gather: () => (slots.busy ? company() : undefined),
      onCommitting: async members => {
        const writing = members.filter(({ intent }) => intent !== 'rejects')
        await ledger.committing(writing.map(({ attemptId }) => attemptId))
        for (const member of writing) await host.fault?.('committing', member)
      },
      transaction: ({ id, table, traces }, commit) =>
        inSpan(
          'headrace.transaction',
          {
            'headrace.group.id': id,
            'headrace.group.chunks': traces.length,
            'headrace.table': table,
            'headrace.warehouse': warehouse.name,
          },
          commit,
          // It is nobody's alone, and whose turn it happens in is chance.
          { parent: null, links: traces },
        ),
      onCommitted: ({ pipeline, members, seconds, outcome }) => {
        metrics.commits.inc({ pipeline, outcome })
        metrics.commitChunks.observe({ warehouse: warehouse.name }, members)
        metrics.commitSeconds.observe({ warehouse: warehouse.name }, seconds)
      },
    }),
  } satisfies Partial<RunContext>

  function readingOf({ chunk, priority }: Claim, persistent: boolean) {
    const reading = known(compiled, chunk.pipeline)
    const { source } = reading.pipeline
    const { pacer, budget } = known(apis, source.name)
    const { authorize } = known(accesses, source.auth)
    return { compiled: reading, context: { ...shared, persistent, budget, pace: pacer.pace(priority), authorize } }
  }

  let news = Promise.withResolvers<void>()

  /** Publishes what processes that are gone have staged. */
  async function collect(): Promise<void> {
    for (const { pipeline } of compiled.values()) {
      const staged = await ledger.stagedByOthers(pipeline.name)
      if (staged.some(({ orphaned }) => orphaned)) await shared.committer.collect(pipeline)
    }
  }

  return {
    compiled: ({ name }) => known(compiled, name),
    metrics,
    now,
    sleep,
    warn: call.warn,
    async prepare({ name, table }) {
      const stoppable = { ...call, signal: control.stop }
      await settleHome(name, warehouse, ledger, stoppable)
      await warehouse.prepare(table, { create: true }, stoppable)
    },
    sweep: async () => void (await warehouse.sweep(() => ledger.aliveAttempts())),
    wake() {
      news.resolve()
      news = Promise.withResolvers()
    },
    work(from, told) {
      // Whoever asked for a run hears how it ended; nobody waits for the end of what is served.
      const reading = (claim: Claim) => readingOf(claim, typeof from !== 'string')
      return work(
        from,
        { ledger, options: settings, log, observe, slots, sleep, readingOf: reading, collect, news: () => news.promise, ...told },
        control,
      )
    },
    async close() {
      // First: nothing that fails may keep tokens from being stored, or from being named.
      for (const access of accesses.values()) {
        for (const grant of await access.close()) {
          log.error({ event: 'grant.lost', grant }, 'its newest tokens were never stored: the account may have to consent again')
        }
      }
      await dispatcher.close()
      for (const { pacer } of apis.values()) await pacer.close()
      await lineage?.close()
    },
  }
}

/** One for each name; two connectors of one name ask the same API, and have to say the same of how fast it may be asked. */
function openApis(pipelines: readonly Pipeline[], pacerOf: (connector: Connector<unknown>) => Pacer): ReadonlyMap<string, Api> {
  const apis = new Map<string, Api>()
  const paceText = ({ api }: Connector<unknown>): string => JSON.stringify([api?.limits, api?.concurrency])
  for (const { source } of pipelines) {
    const known = apis.get(source.name)
    if (known === undefined) {
      apis.set(source.name, { connector: source, pacer: pacerOf(source), budget: new RetryBudget() })
    } else if (paceText(known.connector) !== paceText(source)) {
      throw new ConfigError('CONFIG_INVALID', {
        message: `limits of the API ${source.name}: two connectors of that name declare different limits or another concurrency`,
        hint: 'Declare them once and share them, or name the connectors differently. Nothing was read or written.',
      })
    }
  }
  return apis
}

function known<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const found = map.get(key)
  if (found === undefined) throw new Error(`${key} is not among what this process was opened with`)
  return found
}
