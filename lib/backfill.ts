import { setTimeout as delay } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import { openAccess } from './access.ts'
import { openPacer } from './api.ts'
import type { FaultPoint, RunContext } from './attempt.ts'
import type { Chunk, Window } from './chunk.ts'
import { compilePipeline } from './compile.ts'
import type { Config } from './config.ts'
import { type Control, executeLocally } from './engine/local.ts'
import { Slots } from './engine/slots.ts'
import type { Observer } from './events.ts'
import { createDispatcher } from './http/client.ts'
import { RetryBudget } from './http/retry.ts'
import type { Run, RunProgress, RunTotals } from './ledger/ledger.ts'
import type { Log } from './log.ts'
import { createMetrics, startAtZero } from './metrics.ts'
import { GRANT_KEY } from './oauth/seal.ts'
import type { Pipeline } from './pipeline.ts'
import { planBackfill, requestOf } from './plan.ts'
import { Committer } from './steps/commit.ts'
import type { WarehouseCall } from './warehouse/warehouse.ts'

/** What is asked of a backfill. */
export interface BackfillRequest {
  readonly pipeline: Pipeline
  readonly window: Window
  readonly clients: readonly string[]
  /** Publish what the API says now: no comparison with what was published before, so no guard on volume or emptiness. */
  readonly force?: boolean
  /** Only days that were never published. */
  readonly missing?: boolean
}

/** What surrounds a backfill. */
export interface BackfillHost {
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

/** What became of a backfill. */
export interface BackfillResult {
  readonly run: Run
  readonly progress: RunProgress
  readonly totals: RunTotals
  /** 0 all published, 1 worth running again, 42 a person is needed, 130 interrupted. */
  readonly exitCode: 0 | 1 | 42 | 130
}

/**
 * How long a commit waits for others while chunks are being read. Those that are read side by side are often staged within a moment, and
 * one by one they cost an embedded warehouse more than twice the work, because each rewrites what the last one left unfilled.
 */
const GATHER_MS = 100

/** Reads a window of days for some clients and publishes it; takes up the same backfill where an earlier process left it. */
export async function backfill(config: Config, request: BackfillRequest, host: BackfillHost): Promise<BackfillResult> {
  const { ledger, warehouse, settings } = config
  const { pipeline, window, clients, force = false, missing = false } = request
  const compiled = compilePipeline(pipeline, warehouse)
  const metrics = createMetrics(host.registry)
  startAtZero(metrics, pipeline.name, pipeline.source.name)
  const call: WarehouseCall = {
    signal: host.control.abort,
    warn: (name, message) => {
      metrics.warnings.inc({ name })
      host.log.warn({ event: 'warning', name }, message)
      host.observe({ type: 'warning', name, message, chunk: null })
    },
  }
  const now = host.now ?? Date.now
  const sleep = host.sleep ?? (async (ms: number, signal: AbortSignal) => void (await delay(ms, undefined, { signal })))
  const pacer = openPacer(pipeline.source, ledger, { options: settings, metrics, now, sleep })
  const grantKey = host.grantKey ?? process.env[GRANT_KEY]
  const access = await openAccess(pipeline.source.auth, clients, { ledger, metrics, grantKey, now, sleep, warn: call.warn })
  await warehouse.prepare(pipeline.table, { create: true }, { ...call, signal: host.control.stop })

  const wanted = { window, clients, force, missing }
  const plan = await Array.fromAsync(planBackfill(pipeline, wanted, ledger))
  const run = await ledger.beginRun(requestOf(compiled, wanted), plan)
  await warehouse.sweep(() => ledger.aliveAttempts())
  host.log.info(
    { event: 'run.started', run: run.id, pipeline: pipeline.name, ...window, resumed: run.resumed },
    'backfill started',
  )
  host.observe({ type: 'started', run, progress: await ledger.progress(run.id) })

  const slots = new Slots(settings.concurrency)
  const dispatcher = createDispatcher()
  const context: RunContext = {
    warehouse,
    ledger,
    dispatcher,
    budget: new RetryBudget(),
    pace: pacer.pace('backfill'),
    options: settings,
    log: host.log,
    metrics,
    observe: host.observe,
    authorize: access.authorize,
    now,
    sleep,
    reading: work => slots.run(work),
    ...(host.fault === undefined ? {} : { fault: host.fault }),
    committer: new Committer(warehouse, {
      call,
      groupChunks: settings.groupChunks,
      groupRows: settings.groupRows,
      gather: () => (slots.busy ? sleep(GATHER_MS, host.control.abort).catch(() => undefined) : undefined),
      onCommitting: async member => {
        if (member.intent === 'rejects') return
        await ledger.committing([member.attemptId])
        await host.fault?.('committing', member)
      },
      onCommitted: (members, seconds, outcome) => {
        metrics.commits.inc({ outcome })
        metrics.commitChunks.observe({ warehouse: warehouse.name }, members)
        metrics.commitSeconds.observe({ warehouse: warehouse.name }, seconds)
      },
    }),
  }
  try {
    await executeLocally(run.id, compiled, { ...context, slots }, host.control)
  } finally {
    await dispatcher.close()
    await pacer.close()
    for (const grant of await access.close()) {
      host.log.error({ event: 'grant.lost', grant }, 'its newest tokens were never stored: the account may have to consent again')
    }
  }

  const progress = await ledger.progress(run.id)
  const totals = await ledger.totals(run.id)
  const left = progress.pending + progress.running + progress.staged
  if (left + progress.held + progress.failed + progress.parked === 0) await ledger.finishRun(run.id)
  const exitCode = exitCodeOf(progress, totals, pipeline, left > 0 && host.control.stop.aborted)
  host.log.info({ event: 'run.finished', run: run.id, pipeline: pipeline.name, progress, totals, exitCode }, 'backfill finished')
  return { run, progress, totals, exitCode }
}

/** Not one record from any chunk is never a success, unless the pipeline says that it may happen. */
export function nothingArrived({ states: { published, unchanged } }: RunTotals, { checks }: Pipeline): boolean {
  const chunks = (published?.chunks ?? 0) + (unchanged?.chunks ?? 0)
  return checks.empty !== 'allow' && chunks > 0 && (published?.extracted ?? 0) + (unchanged?.extracted ?? 0) === 0
}

function exitCodeOf(
  progress: RunProgress,
  totals: RunTotals,
  pipeline: Pipeline,
  interrupted: boolean,
): BackfillResult['exitCode'] {
  if (interrupted) return 130
  if (progress.held > 0) return 42
  if (progress.pending + progress.running + progress.staged + progress.failed + progress.parked > 0) return 1
  return nothingArrived(totals, pipeline) ? 42 : 0
}
