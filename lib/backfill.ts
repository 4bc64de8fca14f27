import type { Window } from './chunk.ts'
import type { Config } from './config.ts'
import { openWorker, type WorkerHost } from './engine/worker.ts'
import type { Run, RunProgress, RunTotals } from './ledger/ledger.ts'
import { CHUNK_STATES } from './ledger/states.ts'
import type { Pipeline } from './pipeline.ts'
import { planBackfill, requestOf } from './plan/plan.ts'
import { pushing } from './push.ts'
import { inSpan, type OpenSpan } from './trace.ts'

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
export interface BackfillHost extends WorkerHost {
  /** Address of the Pushgateway that metrics are pushed to while it runs. Default nowhere. */
  readonly push?: string
}

/** What became of a backfill. */
export interface BackfillResult {
  readonly run: Run
  readonly progress: RunProgress
  readonly totals: RunTotals
  /** 0 all published, 1 worth running again, 42 a person is needed, 130 interrupted. */
  readonly exitCode: 0 | 1 | 42 | 130
}

/** Reads a window of days for some clients and publishes it; takes up the same backfill where an earlier process left it. */
export async function backfill(config: Config, request: BackfillRequest, host: BackfillHost): Promise<BackfillResult> {
  const { pipeline, window, clients } = request
  const attributes = {
    'headrace.pipeline': pipeline.name,
    'headrace.window.from': window.from,
    'headrace.window.to': window.to,
    'headrace.clients': clients.length,
  }
  return inSpan('headrace.run', attributes, async span => {
    const result = await workOff(config, request, host, span)
    span.set({ 'headrace.run.exit_code': result.exitCode })
    return result
  })
}

async function workOff(
  config: Config,
  request: BackfillRequest,
  host: BackfillHost,
  span: OpenSpan<'headrace.run'>,
): Promise<BackfillResult> {
  const { ledger } = config
  const { pipeline, window, clients, force = false, missing = false } = request
  const { log, observe, control } = host
  const worker = await openWorker(config, [pipeline], () => clients, host)
  const show = (progress: RunProgress): void => {
    for (const state of CHUNK_STATES) worker.metrics.chunks.set({ pipeline: pipeline.name, state }, progress[state])
  }
  let run: Run
  let endPush: (() => Promise<void>) | undefined
  try {
    await worker.prepare(pipeline)
    const wanted = { window, clients, force, missing }
    const plan = await Array.fromAsync(planBackfill(pipeline, wanted, ledger))
    run = await ledger.beginRun(requestOf(worker.compiled(pipeline), wanted), plan)
    span.set({ 'headrace.run.id': run.id, 'headrace.run.resumed': run.resumed })
    await worker.sweep()
    log.info({ event: 'run.started', run: run.id, pipeline: pipeline.name, ...window, resumed: run.resumed }, 'backfill started')
    const begun = await ledger.progress(run.id)
    show(begun)
    observe({ type: 'started', run, progress: begun })
    if (host.push !== undefined) {
      endPush = pushing({ gateway: host.push, runId: run.id, registry: host.registry, warn: worker.warn })
    }
    await worker.work(run.id, {
      onAttempt: async ({ runId }) => show(await ledger.progress(runId)),
      // Nothing is safe to continue then.
      onTrouble: async error => {
        throw error
      },
    })
  } finally {
    try {
      await worker.close()
    } finally {
      // Whatever could not be closed, the process lives to say so.
      await endPush?.()
    }
  }

  const progress = await ledger.progress(run.id)
  const totals = await ledger.totals(run.id)
  const left = progress.pending + progress.running + progress.staged
  if (left + progress.held + progress.failed + progress.parked === 0) await ledger.finishRun(run.id)
  const exitCode = exitCodeOf(progress, totals, pipeline, left > 0 && control.stop.aborted)
  log.info({ event: 'run.finished', run: run.id, pipeline: pipeline.name, progress, totals, exitCode }, 'backfill finished')
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
